//! Counts of deliveries by outcome.

/// Grouping of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CountBy {
    /// By event name.
    Event,
    /// By delivery status.
    Status,
    Endpoint,
}

impl CountBy {
    /// Returns the name of the field that the records are grouped by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Status => "status",
            Self::Endpoint => "endpoint",
        }
    }
}

/// Numbers of deliveries in one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Event name, status or endpoint that identifies the group.
    pub kind: String,
    /// Delivered.
    pub success: u64,
    /// Failed for good.
    pub failed: u64,
    /// Still being retried.
    pub retrying: u64,
    /// Delivered with a single attempt.
    pub at_first_attempt: u64,
    /// Attempts in addition to the first of each delivery.
    pub retries: u64,
}
