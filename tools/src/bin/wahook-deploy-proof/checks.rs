//! Expected values of each panel after the scenario. A panel without a check is a fault.

use crate::prometheus::Series;
use crate::webhook::Count;

/// Part of the scenario for which a panel is queried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Up to the end of all deliveries of the first two chapters, where the webhook's own count is
    /// exact.
    Settled,
    /// The whole scenario, with every fault.
    Whole,
}

/// Condition on the values of a panel.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// The number equals the first value, within a share of it.
    Equals(f64, f64),
    /// The area below each of these curves (by label value) equals its number, within 5 % or 3.
    Areas(&'static str, Vec<(&'static str, f64)>),
    /// The area below all curves together equals this number, within 5 % or 3.
    Area(f64),
    /// All values are between the two limits.
    Between(f64, f64),
    /// All values are between the first two, and the highest is at least the third.
    Reaches(f64, f64, f64),
    /// The lowest value equals the first, the highest the second.
    Spans(f64, f64),
    /// p50 <= p95 <= p99, and the highest value is between the two limits.
    Quantiles(f64, f64),
}

/// Returns the check for the panel of this dashboard and title.
pub(crate) fn of(
    dashboard: &str,
    title: &str,
    count: &Count,
    accepted: f64,
) -> Option<(Part, Check)> {
    use Check::{Area, Areas, Between, Equals, Quantiles, Reaches, Spans};
    use Part::{Settled, Whole};
    let ended = count.delivered + count.dead;
    let rate = count.delivered / ended;
    let [first, second, third] = count.retried;
    Some(match (dashboard, title) {
        ("delivery", "Success rate") => (Settled, Equals(rate, 0.01)),
        ("delivery", "First-attempt success") => (
            Settled,
            Equals(count.first_successes / count.first_attempts, 0.01),
        ),
        ("delivery", "Error budget left") => (Settled, Equals(1.0 - (1.0 - rate) / 0.001, 0.01)),
        ("delivery", "Delivered") => (Settled, Equals(count.delivered, 0.02)),
        ("delivery", "Waiting now") => (Settled, Between(0.0, 0.0)),
        ("delivery", "Dead letters now") => (Settled, Equals(count.dead, 0.0)),
        ("delivery", "Success rate over time") => (Settled, Reaches(0.0, 1.0, 1.0)),
        ("delivery", "Deliveries by result") => (
            Settled,
            Areas(
                "result",
                vec![
                    ("delivered", count.delivered),
                    ("dead_lettered", count.dead),
                ],
            ),
        ),
        ("delivery", "Attempts by outcome") => {
            let wanted = vec![
                ("delivered", count.delivered),
                ("status_5xx", count.status_5xx),
                ("status_4xx", count.status_4xx),
            ];
            (Settled, Areas("outcome", wanted))
        }
        ("delivery", "Attempt duration, distribution") => {
            // The widest bucket has all attempts: the first ones and one per retry.
            let attempts = count.first_attempts + first + second + third;
            (Settled, Areas("le", vec![("+Inf", attempts)]))
        }
        ("delivery", "Attempt duration") => (Settled, Quantiles(0.005, 5.0)),
        ("delivery", "End-to-end latency") => (Settled, Quantiles(0.005, 60.0)),
        ("delivery", "Retries by delay") => (
            Settled,
            Areas(
                "delay",
                vec![("1000", first), ("2000", second), ("4000", third)],
            ),
        ),
        ("delivery", "Waiting for a retry") => (Settled, Reaches(0.0, ended, 3.0)),
        ("delivery", "Dead letters") => (Whole, Reaches(0.0, 1e6, count.dead)),
        ("delivery", "Queue depth") => (Whole, Reaches(0.0, 1e6, 500.0)),
        ("delivery", "Time in queue") => (Whole, Quantiles(60.0, 300.0)),
        // Two consumers with 16 permits each, all in use while the webhook hangs.
        ("delivery", "In flight and limit") => (Whole, Reaches(0.0, 32.0, 32.0)),
        ("delivery", "Events accepted") => (Settled, Area(accepted)),
        ("delivery", "Events rejected") => (Whole, Reaches(0.0, 1e3, 1.0)),
        ("delivery", "Log lag") => (Settled, Quantiles(0.001, 10.0)),
        ("delivery", "Log results by path") => (Whole, Reaches(0.0, 1e5, 100.0)),
        ("runtime", "Producers") => (Whole, Equals(1.0, 0.0)),
        ("runtime", "Consumers") => (Whole, Equals(2.0, 0.0)),
        ("runtime", "Versions") => (Whole, Equals(1.0, 0.0)),
        ("runtime", "Consumers without log access" | "Broker alarms") => (Whole, Between(0.0, 0.0)),
        ("runtime", "CPU") => (Whole, Reaches(0.0, 64.0, 0.001)),
        // In bytes: more than 1 MiB, less than 1 GiB.
        ("runtime", "Memory") => (Whole, Between(1_048_576.0, 1_073_741_824.0)),
        ("runtime", "Open files and sockets") => (Whole, Between(5.0, 2_000.0)),
        ("runtime", "Connections up") => (Whole, Spans(0.0, 1.0)),
        // Two connections per program, because the broker is restarted.
        ("runtime", "Reconnects") => (Whole, Reaches(0.0, 1_000.0, 1.0)),
        ("runtime", "Log write errors") => (Whole, Reaches(0.0, 1_000.0, 0.01)),
        ("runtime", "Publisher confirm time") => (Settled, Quantiles(0.000_1, 5.0)),
        ("runtime", "Publishing blocked") => (Whole, Spans(0.0, 1.0)),
        ("runtime", "Broker memory") => (Whole, Reaches(0.0, 1e12, 5e7)),
        ("runtime", "Broker disk") => (Whole, Reaches(0.0, 1e15, 6.7e7)),
        ("runtime", "Producer requests in flight") => (Whole, Between(0.0, 1_024.0)),
        // Unacked messages of the two killed consumers.
        ("runtime", "Redelivered events") => (Whole, Reaches(0.0, 1e4, 0.1)),
        ("runtime", "Log writes") => (Settled, Quantiles(0.000_1, 5.0)),
        _ => return None,
    })
}

impl Check {
    /// Returns the condition as text, for the table.
    pub(crate) fn says(&self) -> String {
        match self {
            Self::Equals(value, within) if *within > 0.0 => {
                format!("= {} within {} %", short(*value), within * 100.0)
            }
            Self::Equals(value, _) => format!("= {}", short(*value)),
            Self::Areas(_, wanted) => {
                let each = wanted.iter().map(|(name, count)| format!("{name} {count}"));
                format!("areas: {}", each.collect::<Vec<_>>().join(", "))
            }
            Self::Area(count) => format!("area: {count}"),
            Self::Between(low, high) => format!("{} to {}", short(*low), short(*high)),
            Self::Reaches(low, high, least) => {
                format!(
                    "{} to {}, reaches {}",
                    short(*low),
                    short(*high),
                    short(*least)
                )
            }
            Self::Spans(low, high) => format!("exactly {low} to {high}"),
            Self::Quantiles(low, high) => {
                format!(
                    "p50 <= p95 <= p99, highest {} to {}",
                    short(*low),
                    short(*high)
                )
            }
        }
    }

    /// Checks the series of a panel: one list per query, with points `step` seconds apart.
    pub(crate) fn holds(&self, queries: &[Vec<Series>], step: f64) -> Result<(), String> {
        let all: Vec<f64> = queries.iter().flatten().flat_map(Series::values).collect();
        let (Some(lowest), Some(highest)) = (
            all.iter().copied().reduce(f64::min),
            all.iter().copied().reduce(f64::max),
        ) else {
            return Err("no value".to_owned());
        };
        let area = |of: &Series| of.values().sum::<f64>() * step;
        let total = || queries.iter().flatten().map(area).sum::<f64>();
        let near = |name: &str, is: f64, wanted: f64| {
            let tolerance = f64::max(wanted * 0.05, 3.0);
            let fault = format!("{name}: {} instead of {}", short(is), short(wanted));
            if (is - wanted).abs() <= tolerance {
                Ok(())
            } else {
                Err(fault)
            }
        };
        let within = |low: f64, high: f64| {
            let fault = format!("{} to {}", short(lowest), short(highest));
            if lowest >= low && highest <= high {
                Ok(())
            } else {
                Err(fault)
            }
        };
        match self {
            Self::Equals(wanted, share) => {
                let is_near = (highest - wanted).abs() <= wanted.abs() * share + 1e-9;
                if is_near && all.len() == 1 {
                    Ok(())
                } else {
                    Err(format!("{highest} instead of {wanted}"))
                }
            }
            Self::Areas(label, wanted) => wanted.iter().try_for_each(|(name, count)| {
                let curves = queries
                    .iter()
                    .flatten()
                    .filter(|series| series.label(label) == *name);
                near(name, curves.map(area).sum(), *count)
            }),
            Self::Area(count) => near("all", total(), *count),
            Self::Between(low, high) => within(*low, *high),
            Self::Spans(low, high) => {
                within(*low, *high)?;
                let spans = (lowest - low).abs() < 1e-9 && (highest - high).abs() < 1e-9;
                if spans {
                    Ok(())
                } else {
                    Err(format!("only {lowest} to {highest}"))
                }
            }
            Self::Reaches(low, high, least) => {
                within(*low, *high)?;
                if highest >= *least {
                    Ok(())
                } else {
                    Err(format!("reaches only {}", short(highest)))
                }
            }
            Self::Quantiles(low, high) => {
                let in_order = (0..)
                    .map_while(|n| quantile_triple(queries, n))
                    .all(|[a, b, c]| a <= b && b <= c);
                if !in_order || queries.len() != 3 {
                    return Err("the quantiles are not in order".to_owned());
                }
                if (*low..=*high).contains(&highest) {
                    Ok(())
                } else {
                    Err(format!("highest {}", short(highest)))
                }
            }
        }
    }
}

/// Returns the three quantiles at the n-th step.
fn quantile_triple(queries: &[Vec<Series>], n: usize) -> Option<[f64; 3]> {
    let at = |query: usize| {
        let points = &queries.get(query)?.first()?.points;
        points
            .get(n)
            .map(|(_, value)| if value.is_nan() { 0.0 } else { *value })
    };
    Some([at(0)?, at(1)?, at(2)?])
}

/// Formats a value with few digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e6.. => format!("{value:.1e}"),
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.2}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        _ => format!("{value:.4}").trim_end_matches('0').to_owned(),
    }
}
