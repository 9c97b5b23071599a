//! Look-ups of records in the log.

use std::collections::{BTreeSet, HashMap};
use wahook_domain::{EndpointName, EventId};

use super::{
    Search,
    records::{LOOK_UP_BATCH, into_parts},
};
use crate::reconcile::broker_state::LogRecord;

impl Search<'_> {
    /// Returns the records of these events.
    pub(super) async fn look_up(
        &self,
        ids: &BTreeSet<EventId>,
    ) -> anyhow::Result<HashMap<EventId, Vec<(EndpointName, LogRecord)>>> {
        let ids: Vec<_> = ids.iter().cloned().collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for batch in ids.chunks(LOOK_UP_BATCH) {
            for surveyed in self.log.survey_of(batch).await? {
                if let Some((id, endpoint, recorded)) = into_parts(surveyed) {
                    found.entry(id).or_default().push((endpoint, recorded));
                }
            }
        }
        Ok(found)
    }
}
