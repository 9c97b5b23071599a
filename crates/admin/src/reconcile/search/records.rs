//! Records that the log returns.

use std::collections::HashMap;
use wahook_delivery_log::Surveyed;
use wahook_domain::{EndpointName, EventId};

use crate::reconcile::broker_state::LogRecord;

/// Number of ids in one query of the log.
pub(super) const LOOK_UP_BATCH: usize = 1_000;

pub(super) fn into_parts(surveyed: Surveyed) -> Option<(EventId, EndpointName, LogRecord)> {
    match surveyed {
        Surveyed::Delivered(id, endpoint) => Some((id, endpoint, LogRecord::Delivered)),
        Surveyed::Open(record) => {
            let (id, endpoint) = (record.event_id.clone(), record.endpoint.clone());
            Some((id, endpoint, LogRecord::Open(record)))
        }
        Surveyed::Foreign => None,
    }
}

pub(super) fn take_record(
    recorded: &mut HashMap<EventId, Vec<(EndpointName, LogRecord)>>,
    id: &EventId,
    endpoint: &EndpointName,
) -> Option<LogRecord> {
    let of_event = recorded.get_mut(id)?;
    let position = of_event.iter().position(|(name, _)| name == endpoint)?;
    Some(of_event.swap_remove(position).1)
}
