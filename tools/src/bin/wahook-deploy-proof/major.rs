//! Versions of Prometheus with which the dashboards and alerts are tested.

use std::path::PathBuf;

/// Version of Prometheus that the dashboards and alerts are tested with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Major {
    /// That of the distribution. It adds no labels to the metrics.
    Two,
    /// Adds the labels `cluster` and `namespace`, as in Kubernetes.
    Three,
}

impl Major {
    pub(crate) const ALL: [Self; 2] = [Self::Two, Self::Three];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Two => "Prometheus 2",
            Self::Three => "Prometheus 3",
        }
    }

    /// Returns the folder of the programs; empty for that of the system.
    pub(crate) fn folder(self) -> PathBuf {
        match self {
            Self::Two => PathBuf::new(),
            Self::Three => wahook_tests::workspace().join(".local/prometheus3/bin"),
        }
    }

    /// Returns the part of `deploy/local/install.sh` that installs it.
    pub(crate) const fn part(self) -> &'static str {
        match self {
            Self::Two => "prometheus",
            Self::Three => "prometheus3",
        }
    }
}
