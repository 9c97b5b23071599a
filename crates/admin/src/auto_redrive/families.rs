//! Metrics of automatic redrives.

use prometheus::IntCounterVec;
use wahook_runtime::families;

families! {
    /// Families of automatic redrives.
    AutoRedriveFamilies {
        /// Dead letters that were redriven by themselves after an outage of their endpoint.
        redriven: IntCounterVec = "wahook_auto_redriven_total" ["endpoint"];
    }
}
