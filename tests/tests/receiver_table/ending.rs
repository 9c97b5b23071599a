//! How an attempt has to end.

use std::time::Duration;

use mongodb::bson::{Bson, Document};
use serde_json::json;
use wahook_tests::pair::Pair;
use wahook_tests::receiver::Receiver;
use wahook_tests::world::Test;

/// The default time limit of an attempt, with a second for the rest.
pub(crate) const IN_TIME: Duration = Duration::from_secs(31);

/// What log and metrics have to say of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// The metric's label.
    pub(crate) outcome: &'static str,
    pub(crate) status: Option<i32>,
    /// `None` where it is delivered. Of a text with `…` at its end only the beginning counts.
    pub(crate) error: Option<String>,
}

impl Ending {
    pub(crate) fn delivered(status: i32) -> Self {
        Self {
            outcome: "delivered",
            status: Some(status),
            error: None,
        }
    }

    pub(crate) fn answered(outcome: &'static str, status: i32) -> Self {
        Self {
            outcome,
            status: Some(status),
            error: Some(format!("answered {status}")),
        }
    }

    pub(crate) fn failed(outcome: &'static str, error: &str) -> Self {
        Self {
            outcome,
            status: None,
            error: Some(error.to_owned()),
        }
    }

    pub(crate) fn timed_out() -> Self {
        Self::failed("timeout", "no answer in 30 s")
    }

    #[track_caller]
    fn assert(&self, record: &Document) {
        let status = if self.error.is_some() {
            "failed"
        } else {
            "success"
        };
        assert_eq!(record.get_str("status").unwrap(), status, "{record}");
        let code = self.status.map_or(Bson::Null, Bson::Int32);
        assert_eq!(record.get("statusCode"), Some(&code), "{record}");
        let told = record.get_str("errorMessage").ok();
        match self
            .error
            .as_deref()
            .map(|error| (error, error.strip_suffix('…')))
        {
            Some((_, Some(beginning))) => {
                assert!(
                    told.is_some_and(|told| told.starts_with(beginning)),
                    "{record}"
                );
            }
            Some((error, None)) => assert_eq!(told, Some(error)),
            None => assert_eq!(told, None),
        }
        let attempts = record.get_array("attempts").unwrap();
        assert_eq!(attempts.len(), 1, "{record}");
        let took = match attempts[0].as_document().unwrap().get("durationMs") {
            Some(Bson::Int32(took)) => i64::from(*took),
            Some(Bson::Int64(took)) => *took,
            other => panic!("durationMs is {other:?}"),
        };
        assert!(took <= IN_TIME.as_millis() as i64, "took {took} ms");
    }
}

/// A pair that makes one attempt of each event, at `url`. Its receiver is called by none.
pub(crate) async fn pair_to(test: &Test, url: &str, settings: &[(&str, &str)]) -> Pair {
    // Each attempt is looked at by itself, also where nearly all of them fail.
    let mut all = vec![
        ("WEBHOOK_URL", url),
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_CIRCUIT", "off"),
    ];
    all.extend(settings);
    test.pair(Receiver::start().await, &all).await
}

/// Makes one attempt and looks at its record.
pub(crate) async fn assert_ends(pair: &Pair, event: &str, ending: &Ending) {
    let id = pair.post(&json!({"event": event})).await.accepted_id();
    let deadline = IN_TIME + Duration::from_secs(10);
    let record = pair.wait_record(&id, deadline, |_| true).await;
    ending.assert(&record);
}

/// Looks at the counts of attempts by outcome: these and no others.
pub(crate) async fn assert_counts(pair: &Pair, counts: &[(&str, usize)]) {
    let consumer = pair.take_consumer();
    let metrics = consumer.metrics().await;
    let total = "wahook_attempts_total";
    for (outcome, count) in counts {
        let counted = metrics.sum_where(total, &[("outcome", outcome)]);
        assert_eq!(counted, *count as f64, "{outcome}");
    }
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    assert_eq!(metrics.sum(total), all as f64, "and no others");
}
