//! Circuit reporter: stores once a second which endpoints their circuit breakers have paused,
//! if that has changed. No delivery waits for it.

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use uuid::Uuid;
use wahook_delivery_log::LogUnavailable;
use wahook_operator_state::{CircuitPause, CircuitReport, SharedCircuitReports};

use crate::endpoint_set::EndpointSet;

const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Time limit of a write.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// Interval of reports without a change, while an endpoint is paused.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Validity of a report: a killed consumer's pauses are not shown for longer.
const VALID_FOR: Duration = Duration::from_secs(30);

/// Reporter of the pauses of this consumer.
pub(crate) struct CircuitReporter {
    store: SharedCircuitReports,
    endpoints: watch::Receiver<EndpointSet>,
    /// Name of this consumer in the store.
    consumer: String,
    reported: Option<Reported>,
    /// False after a failed write, so that an outage is logged once.
    is_up: bool,
}

/// Last report that was stored.
struct Reported {
    pauses: Vec<CircuitPause>,
    at: Instant,
}

impl CircuitReporter {
    pub(crate) fn new(
        store: SharedCircuitReports,
        endpoints: watch::Receiver<EndpointSet>,
    ) -> Self {
        Self {
            store,
            endpoints,
            consumer: Uuid::new_v4().to_string(),
            reported: None,
            is_up: true,
        }
    }

    /// Reports all changes. Never returns.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(CHECK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pauses = self.pauses();
            if is_due(self.reported.as_ref(), &pauses, Instant::now()) {
                self.report(pauses).await;
            }
        }
    }

    fn pauses(&self) -> Vec<CircuitPause> {
        let endpoints = self.endpoints.borrow();
        let members = endpoints.members.iter();
        members
            .filter_map(|member| member.endpoint.admission.circuit_pause())
            .collect()
    }

    async fn report(&mut self, pauses: Vec<CircuitPause>) {
        let report = CircuitReport {
            consumer: self.consumer.clone(),
            pauses,
            valid_for: VALID_FOR,
        };
        let at = Instant::now();
        let stored = timeout(WRITE_LIMIT, self.store.report(&report)).await;
        match stored.unwrap_or(Err(LogUnavailable::NoAnswer(WRITE_LIMIT))) {
            Ok(()) => {
                let pauses = report.pauses;
                self.reported = Some(Reported { pauses, at });
                self.is_up = true;
            }
            Err(error) => {
                if std::mem::replace(&mut self.is_up, false) {
                    tracing::warn!(%error, "pauses by circuit breakers can't be stored, the console does not show them");
                }
            }
        }
    }
}

/// Returns true if the pauses have to be stored. The first report replaces those of a data
/// file's earlier process.
fn is_due(reported: Option<&Reported>, pauses: &[CircuitPause], now: Instant) -> bool {
    reported.is_none_or(|last| {
        last.pauses != pauses || (!pauses.is_empty() && now >= last.at + RENEW_EVERY)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::{EndpointName, UnixMillis};

    #[test]
    fn report_is_due_at_the_start_after_a_change_and_before_its_validity_ends() {
        let pause = CircuitPause {
            endpoint: EndpointName::default(),
            since: UnixMillis::new(1),
            next_probe: UnixMillis::new(2),
            reason: "answered 500".to_owned(),
        };
        let reported = |pauses: &[CircuitPause], at| Reported {
            pauses: pauses.to_owned(),
            at,
        };
        let (start, paused) = (Instant::now(), [pause]);
        let (soon, later) = (start + CHECK_EVERY, start + RENEW_EVERY);
        assert!(is_due(None, &[], start));
        for (last, pauses, now, expected) in [
            (&paused[..0], &paused[..0], later, false),
            (&paused[..0], &paused[..], soon, true),
            (&paused[..], &paused[..], soon, false),
            (&paused[..], &paused[..], later, true),
            (&paused[..], &paused[..0], soon, true),
        ] {
            let last = reported(last, start);
            assert_eq!(is_due(Some(&last), pauses, now), expected, "{pauses:?}");
        }
    }
}
