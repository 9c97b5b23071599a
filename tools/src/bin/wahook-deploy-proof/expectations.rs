//! Expected values of each panel after the scenario. A panel without a check is a fault.

use crate::checks::Check;
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

/// Returns the check for the panel of this dashboard and title.
pub(crate) fn of(
    dashboard: &str,
    title: &str,
    count: &Count,
    accepted: f64,
) -> Option<(Part, Check)> {
    use Check::{Area, Areas, Between, Cells, Equals, Quantiles, Reaches, Spans, Total};
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
        ("delivery", "Delivered") => (Settled, Total(count.delivered)),
        ("delivery", "Waiting now") => (Settled, Between(0.0, 0.0)),
        ("delivery", "Dead letters now") => (Settled, Equals(count.dead, 0.0)),
        // Success rate, p95, waiting, paused, time to drain.
        ("delivery", "Endpoints") => {
            let success = (rate * 0.99, rate * 1.01);
            let none = (0.0, 0.0);
            (
                Settled,
                Cells(vec![success, (0.005, 5.0), none, none, none]),
            )
        }
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
