//! Metrics of the spool, only where it is configured.

use prometheus::{IntCounter, IntGauge};
use wahook_runtime::families;

families! {
    /// Families of the spool.
    SpoolMetrics {
        /// Events in the spool.
        events: IntGauge = "wahook_spool_events";
        /// Bytes of the events in the spool.
        bytes: IntGauge = "wahook_spool_bytes";
        /// Limit of the bytes of the events in the spool (PRODUCER_SPOOL_MAX_BYTES).
        max_bytes: IntGauge = "wahook_spool_max_bytes";
        /// Seconds since the first event in the spool was accepted; 0 if there is none.
        oldest_age: IntGauge = "wahook_spool_oldest_age_seconds";
        /// Events answered 202 after they were stored in the spool.
        stored: IntCounter = "wahook_spool_stored_total";
        /// Events of the spool that the broker has confirmed for at least one endpoint.
        forwarded: IntCounter = "wahook_spool_forwarded_total";
        /// Events of the spool that match no endpoint.
        unwanted: IntCounter = "wahook_spool_unwanted_total";
    }
}
