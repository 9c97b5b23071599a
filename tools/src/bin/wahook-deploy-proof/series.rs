//! Answers of Prometheus: series and firing alerts.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Series of an answer: its labels, and its points with times in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Value,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Firing alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Firing {
    pub(crate) name: String,
    /// Subject: an endpoint or a job; empty for the whole system.
    pub(crate) about: String,
}

impl Firing {
    pub(crate) fn of(name: &str, about: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
        }
    }
}

impl Series {
    pub(crate) fn read(result: &Value) -> Self {
        let point = |pair: &Value| {
            let value = pair.get(1)?.as_str()?.parse().ok()?;
            Some((pair.get(0)?.as_f64()?, value))
        };
        let many = result.get("values").and_then(Value::as_array);
        let mut points: Vec<_> = many.into_iter().flatten().filter_map(point).collect();
        points.extend(result.get("value").and_then(point));
        Self {
            labels: result.get("metric").cloned().unwrap_or_default(),
            points,
        }
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the finite values.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.points
            .iter()
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite())
    }
}

/// Seconds since 1970, as in Prometheus.
#[expect(
    clippy::disallowed_methods,
    reason = "times are compared with the clock of Prometheus"
)]
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
