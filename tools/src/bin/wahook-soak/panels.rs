//! Panels of the plot, and their lines.

use crate::axis::Scale;

pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) scale: Scale,
    /// Columns and names of the lines.
    pub(crate) lines: &'static [(&'static str, &'static str)],
}

pub(crate) const PANELS: [Panel; 7] = [
    Panel {
        title: "Memory, MiB",
        scale: Scale::Linear,
        lines: &[
            ("producer_mib", "producer"),
            ("consumer_mib", "consumer"),
            ("restarted_mib", "restarted consumer"),
        ],
    },
    Panel {
        title: "Open files",
        scale: Scale::Linear,
        lines: &[
            ("producer_files", "producer"),
            ("consumer_files", "consumer"),
            ("restarted_files", "restarted consumer"),
        ],
    },
    Panel {
        title: "TCP connections",
        scale: Scale::Linear,
        lines: &[
            ("producer_connections", "producer"),
            ("consumer_connections", "consumer"),
            ("restarted_connections", "restarted consumer"),
        ],
    },
    Panel {
        title: "Ready messages in queues",
        scale: Scale::Logarithmic(1.0),
        lines: &[
            ("queue_plain", "plain"),
            ("queue_ordered", "ordered"),
            ("queue_retries", "retries"),
            ("queue_results", "unwritten results"),
        ],
    },
    Panel {
        title: "Accepted, not yet delivered events",
        scale: Scale::Logarithmic(1.0),
        lines: &[("pending_plain", "plain"), ("pending_ordered", "ordered")],
    },
    Panel {
        title: "Latency, ms",
        scale: Scale::Logarithmic(0.1),
        lines: &[
            ("plain_p50_ms", "plain p50"),
            ("plain_p99_ms", "plain p99"),
            ("ordered_p50_ms", "ordered p50"),
            ("ordered_p99_ms", "ordered p99"),
        ],
    },
    Panel {
        title: "Processors, cores",
        scale: Scale::Linear,
        lines: &[("own_cpu", "all of the run"), ("other_cpu", "others")],
    },
];
