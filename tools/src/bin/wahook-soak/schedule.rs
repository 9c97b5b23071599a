//! Schedule of the disturbances.

use crate::samples::SETTLING;

/// Time in seconds that the system has to recover from a disturbance.
const SETTLES: f64 = 10.0;
/// Minutes of a run from which on disturbances have their full periods.
const FULL_RUN: u32 = 40;

/// Disturbance of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disturbance {
    /// Another endpoints file and SIGHUP, for both consumers.
    Reload,
    /// The broker closes all connections.
    Connections,
    /// MongoDB refuses writes for some seconds.
    StepDown,
    /// Orderly stop and start of one consumer.
    Restart,
}

impl Disturbance {
    pub(crate) const ALL: [Self; 4] = [
        Self::Reload,
        Self::Connections,
        Self::StepDown,
        Self::Restart,
    ];

    /// Name in the samples.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Connections => "connections",
            Self::StepDown => "step-down",
            Self::Restart => "restart",
        }
    }

    /// Description for the report, with its number.
    pub(crate) const fn noun(self) -> &'static str {
        match self {
            Self::Reload => "reloads",
            Self::Connections => "times all broker connections closed",
            Self::StepDown => "step-downs of MongoDB",
            Self::Restart => "restarts of a consumer",
        }
    }

    /// Minutes between two in a run of this length.
    fn period(self, minutes: u32) -> u32 {
        let full = match self {
            Self::Reload => 1,
            Self::Connections => 5,
            Self::StepDown => 7,
            Self::Restart => 10,
        };
        (full * minutes.min(FULL_RUN) / FULL_RUN).max(1)
    }
}

/// Returns the disturbances at the beginning of a minute, from 1, in a run of `minutes`.
pub(crate) fn due(minute: u32, minutes: u32) -> Vec<Disturbance> {
    let is_due = |kind: &Disturbance| minute.is_multiple_of(kind.period(minutes));
    Disturbance::ALL.into_iter().filter(is_due).collect()
}

/// Time of a disturbance, in seconds since the start of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Span {
    pub(crate) kind: Disturbance,
    pub(crate) begin: f64,
    /// `None` while it lasts.
    pub(crate) end: Option<f64>,
}

/// Returns the disturbances of an interval for its sample: their names joined by `+`, or
/// [`SETTLING`] if the system recovers from an earlier one.
pub(crate) fn disturbances(spans: &[Span], begin: f64, end: f64) -> String {
    let overlaps = |span: &Span, settles: f64| {
        span.begin < end && span.end.is_none_or(|ended| ended + settles > begin)
    };
    let kinds = Disturbance::ALL.into_iter().filter(|kind| {
        let mut of_kind = spans.iter().filter(|span| span.kind == *kind);
        of_kind.any(|span| overlaps(span, 0.0))
    });
    let names: Vec<_> = kinds.map(Disturbance::name).collect();
    if names.is_empty() && spans.iter().any(|span| overlaps(span, SETTLES)) {
        return SETTLING.to_owned();
    }
    names.join("+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hours_have_every_disturbance_at_its_full_period() {
        let count = |kind| {
            let minutes = (1..120).filter(|minute| due(*minute, 120).contains(&kind));
            minutes.count()
        };
        assert_eq!(Disturbance::ALL.map(count), [119, 23, 17, 11]);
    }

    #[test]
    fn short_runs_have_every_disturbance_too() {
        for minutes in [3, 6, 20] {
            for kind in Disturbance::ALL {
                let is_due = (1..minutes).any(|minute| due(minute, minutes).contains(&kind));
                assert!(is_due, "{kind:?} in {minutes} minutes");
            }
        }
        assert_eq!(due(7, 20), [Disturbance::Reload]);
    }

    #[test]
    fn interval_has_the_disturbances_that_overlap_it_and_then_settles() {
        let span = |kind, begin, end| Span { kind, begin, end };
        let spans = [
            span(Disturbance::Restart, 65.0, Some(71.0)),
            span(Disturbance::Reload, 62.0, Some(63.0)),
            span(Disturbance::Connections, 122.0, None),
        ];
        let of = |begin| disturbances(&spans, begin, begin + 10.0);
        assert_eq!(of(50.0), "");
        assert_eq!(of(60.0), "reload+restart");
        assert_eq!(of(70.0), "restart");
        assert_eq!(of(80.0), SETTLING);
        assert_eq!(of(90.0), "");
        assert_eq!(of(120.0), "connections");
        assert_eq!(of(180.0), "connections");
    }
}
