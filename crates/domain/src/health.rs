//! Evidence of an attempt about the health of its endpoint.

use std::time::Duration;

use crate::outcome::{FailureCause, Outcome};

/// Evidence of an attempt about the health of its endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthSignal {
    /// The endpoint took the event.
    Success,
    /// The endpoint may be down: no response, or a 5xx.
    Failure,
    /// The endpoint works and rejected this event, such as with 400 or 422.
    Rejected,
    /// Refusal that concerns this event or every event, such as a 404.
    Refused,
    /// The endpoint was removed: 410.
    Gone,
    /// The endpoint requests slower deliveries, and a wait if it names one.
    Busy(Option<Duration>),
}

impl HealthSignal {
    /// Classifies an attempt.
    #[must_use]
    pub const fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Delivered { .. } => Self::Success,
            Outcome::Answered { status, .. } => Self::of_status(*status, outcome.retry_after()),
            // A login page, or a configuration error: not a fault of the event.
            Outcome::Redirected { .. }
            | Outcome::Failed {
                cause: FailureCause::Blocked,
                ..
            } => Self::Refused,
            Outcome::TimedOut { .. } | Outcome::Failed { .. } => Self::Failure,
        }
    }

    const fn of_status(status: u16, retry_after: Option<Duration>) -> Self {
        match (status, retry_after) {
            (429, _) | (503, Some(_)) => Self::Busy(retry_after),
            (500..=599, _) => Self::Failure,
            (410, _) => Self::Gone,
            (400 | 406 | 409 | 411..=418 | 422 | 424 | 431, _) => Self::Rejected,
            _ => Self::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_signal_follows_from_the_outcome() {
        let second = Some(Duration::from_secs(1));
        let answered = |status, retry_after| Outcome::Answered {
            status,
            retry_after,
        };
        let failed = |cause| Outcome::Failed {
            cause,
            detail: String::new(),
        };
        let redirected = Outcome::Redirected {
            status: 302,
            location: None,
            fault: None,
        };
        let limit = Duration::from_secs(30);
        for (outcome, signal) in [
            (Outcome::Delivered { status: 200 }, HealthSignal::Success),
            (answered(500, None), HealthSignal::Failure),
            (answered(500, second), HealthSignal::Failure),
            (answered(503, None), HealthSignal::Failure),
            (answered(503, second), HealthSignal::Busy(second)),
            (answered(429, None), HealthSignal::Busy(None)),
            (answered(429, second), HealthSignal::Busy(second)),
            (answered(410, second), HealthSignal::Gone),
            (answered(400, None), HealthSignal::Rejected),
            (answered(413, None), HealthSignal::Rejected),
            (answered(422, None), HealthSignal::Rejected),
            (answered(401, None), HealthSignal::Refused),
            (answered(403, None), HealthSignal::Refused),
            (answered(404, None), HealthSignal::Refused),
            (redirected, HealthSignal::Refused),
            (Outcome::TimedOut { limit }, HealthSignal::Failure),
            (
                failed(FailureCause::ConnectionRefused),
                HealthSignal::Failure,
            ),
            (failed(FailureCause::Dns), HealthSignal::Failure),
            (failed(FailureCause::Tls), HealthSignal::Failure),
            (failed(FailureCause::Blocked), HealthSignal::Refused),
        ] {
            assert_eq!(HealthSignal::of(&outcome), signal, "{outcome:?}");
        }
    }
}
