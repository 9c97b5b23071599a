//! Media types.

/// Media type of a batch.
pub(crate) const NDJSON: &str = "application/x-ndjson";
