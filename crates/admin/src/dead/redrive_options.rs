//! Options of a redrive.

use std::num::NonZeroU32;
use wahook_domain::EndpointName;

pub(super) struct RedriveOptions {
    pub(super) dry_run: bool,
    /// Destination of all dead letters, instead of the endpoint of each.
    pub(super) to: Option<EndpointName>,
    /// Dead letters per second.
    pub(super) rate: Option<NonZeroU32>,
}
