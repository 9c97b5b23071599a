//! Expected outcome of an attempt in the log and the metrics.

use std::time::Duration;

use mongodb::bson::{Bson, Document};
use serde_json::json;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::Pair;
use wahook_tests::receiver::Receiver;
use wahook_tests::world::Test;

/// Default timeout of an attempt, plus the overhead of a busy machine.
pub(crate) const IN_TIME: Duration = Duration::from_secs(60);

/// Expected outcome of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Ending {
    /// Label `outcome` of the metric.
    pub(crate) outcome: &'static str,
    pub(crate) status: Option<i32>,
    /// Error text, or `None` if delivered. A text that ends with `…` is a prefix.
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
        let recorded = record.get_str("errorMessage").ok();
        match self
            .error
            .as_deref()
            .map(|error| (error, error.strip_suffix('…')))
        {
            Some((_, Some(prefix))) => {
                assert!(
                    recorded.is_some_and(|text| text.starts_with(prefix)),
                    "{record}"
                );
            }
            Some((error, None)) => assert_eq!(recorded, Some(error)),
            None => assert_eq!(recorded, None),
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

/// Starts a producer and a consumer that attempts each event once, at `url`. The default receiver
/// gets no request.
pub(crate) async fn pair_to(test: &Test, url: &str, settings: &[(&str, &str)]) -> Pair {
    // Without the circuit breaker, because most attempts fail.
    let mut all = vec![
        ("WEBHOOK_URL", url),
        ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ("WEBHOOK_CIRCUIT", "off"),
    ];
    all.extend(settings);
    test.pair(Receiver::start().await, &all).await
}

/// Posts an event and asserts the record of its only attempt.
pub(crate) async fn assert_ends(pair: &Pair, event: &str, ending: &Ending) {
    let id = pair.post(&json!({"event": event})).await.accepted_id();
    let record = pair.wait_record(&id, AT_LAST, |_| true).await;
    ending.assert(&record);
}

/// Asserts the number of attempts by outcome, and that there are no others.
pub(crate) async fn assert_counts(pair: &Pair, counts: &[(&str, usize)]) {
    let consumer = pair.take_consumer();
    let metrics = consumer.metrics().await;
    let total = "wahook_attempts_total";
    for (outcome, count) in counts {
        let counted = metrics.sum_where(total, &[("outcome", outcome)]);
        assert_eq!(counted, *count as f64, "{outcome}");
    }
    let all: usize = counts.iter().map(|(_, count)| count).sum();
    assert_eq!(
        metrics.sum(total),
        all as f64,
        "attempts with other outcomes"
    );
}
