//! Destination and result of a transfer.

use wahook_domain::EndpointName;

/// Destination of the events.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Endpoint(EndpointName),
    DeadLetters,
}

/// Numbers of a transfer.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) moved: u32,
    /// Events that the other endpoint has in the log already.
    pub(super) known: u32,
    /// Messages that can't be decoded; they are dead letters now.
    pub(super) undecodable: u32,
    /// Messages that are still in the queue after a failure.
    pub(super) failed: u32,
}

impl Target {
    /// Returns the endpoint, if it is one.
    pub(super) fn endpoint(&self) -> Option<&EndpointName> {
        match self {
            Self::Endpoint(endpoint) => Some(endpoint),
            Self::DeadLetters => None,
        }
    }

    /// Returns what happens to the events.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Endpoint(_) => "moved",
            Self::DeadLetters => "made dead letters",
        }
    }
}

/// Reason of the dead letters of a dropped endpoint.
pub(super) fn drop_reason(endpoint: &EndpointName) -> String {
    format!("endpoint {endpoint} was removed, and its queued events were dropped by an operator")
}

impl Report {
    /// Returns the line for the operator.
    pub(super) fn text(&self, old: &EndpointName, verb: &str, interrupted: bool) -> String {
        let mut text = format!("{} events of {old} {verb}", self.moved);
        for (count, what) in [
            (self.known, "removed, because the other endpoint has them"),
            (self.undecodable, "undecodable, made dead letters"),
            (self.failed, "not confirmed by the broker, kept"),
        ] {
            if count > 0 {
                text += &format!("; {count} {what}");
            }
        }
        if interrupted {
            text += "; interrupted, the rest is kept";
        }
        text
    }
}
