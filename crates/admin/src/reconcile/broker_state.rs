//! Messages at the broker, by event and endpoint.

use indicatif::ProgressBar;
use std::collections::{BTreeSet, HashMap};
use wahook_domain::{DeliveryRecord, EndpointName, EventId};
use wahook_queue::{
    Inspector, LookError,
    topology::{DEAD_QUEUE, RESULTS_QUEUE},
};

use super::classify::{DeadLetterInfo, Facts, LogStatus};

/// An inspection stops at a message with this many deliveries. A work queue dead-letters a message
/// after 100 deliveries. Each inspection is one of them before RabbitMQ 4.3; on 4.3 only one that
/// is cut off.
const MAX_DELIVERIES: u64 = 50;

/// Dead letters, results and queued messages by event and endpoint: about 200 bytes for
/// each dead letter and 400 for each result. Only requested queued messages are kept.
#[derive(Debug, Default)]
pub(super) struct BrokerState {
    dead_letters: ById<DeadLetterInfo>,
    results: ById<DeliveryRecord>,
    queued: ById<()>,
    /// Number of dead letters without an event id or endpoint.
    pub(super) unreadable: u32,
}

#[derive(Debug)]
struct ById<T>(HashMap<EventId, Vec<(EndpointName, T)>>);

impl<T> Default for ById<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> ById<T> {
    fn of_event(&self, id: &EventId) -> &[(EndpointName, T)] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }

    fn get(&self, id: &EventId, endpoint: &EndpointName) -> Option<&T> {
        let (_, found) = self
            .of_event(id)
            .iter()
            .find(|(name, _)| name == endpoint)?;
        Some(found)
    }

    fn insert(&mut self, id: EventId, endpoint: EndpointName, value: T, merge: fn(&mut T, T)) {
        let of_event = self.0.entry(id).or_default();
        match of_event.iter_mut().find(|(name, _)| *name == endpoint) {
            Some((_, known)) => merge(known, value),
            None => of_event.push((endpoint, value)),
        }
    }
}

impl BrokerState {
    pub(super) async fn read_dead_letters(
        &mut self,
        inspector: &Inspector,
        bar: &ProgressBar,
    ) -> Result<(), LookError> {
        let mut dead_letters = ById::default();
        self.unreadable = 0;
        let mut look = inspector.look(DEAD_QUEUE).await?;
        while let Some(seen) = look.next().await? {
            bar.inc(1);
            let id = seen.id();
            let dead_letter = seen.dead_letter();
            let (Some(id), Some(endpoint)) = (id, dead_letter.endpoint) else {
                self.unreadable += 1;
                continue;
            };
            let accepted_at = dead_letter.content.ok().map(|event| event.accepted_at);
            let dead_letter = DeadLetterInfo {
                moved_by_broker: dead_letter.moved_by_broker,
                accepted_at,
            };
            dead_letters.insert(id, endpoint, dead_letter, |known, other| {
                known.moved_by_broker &= other.moved_by_broker;
            });
        }
        look.requeue().await;
        self.dead_letters = dead_letters;
        Ok(())
    }

    /// Reads the results that are not in the log yet.
    pub(super) async fn read_results(&mut self, inspector: &Inspector) -> Result<(), LookError> {
        let mut results = ById::default();
        let mut look = inspector.look(RESULTS_QUEUE).await?;
        while let Some(seen) = look.next().await? {
            // The drainer dead-letters what is no result.
            let Ok(result) = seen.result() else { continue };
            let record = DeliveryRecord::first(&result);
            let (id, endpoint) = (record.event_id.clone(), record.endpoint.clone());
            results.insert(id, endpoint, record, |known, other| known.absorb(&other));
        }
        look.requeue().await;
        self.results = results;
        Ok(())
    }

    /// Searches an endpoint's queues for messages of these events. Returns true if the
    /// search is complete; messages in lanes at RabbitMQ cannot be read.
    pub(super) async fn read_queue(
        &mut self,
        inspector: &Inspector,
        endpoint: &EndpointName,
        wanted: &BTreeSet<EventId>,
    ) -> Result<bool, LookError> {
        let mut found = BTreeSet::new();
        let mut is_complete = true;
        for queue in inspector.queues_of(endpoint) {
            if inspector.is_readable(&queue) {
                is_complete &= search_queue(inspector, &queue, wanted, &mut found).await?;
            } else {
                let depth = inspector.depth(&queue).await?;
                is_complete &= depth.is_none_or(|depth| depth.messages == 0);
            }
        }
        is_complete |= found.len() == wanted.len();
        for id in found {
            self.queued.insert(id, endpoint.clone(), (), |(), ()| ());
        }
        Ok(is_complete)
    }

    /// Combines the log's record of a delivery with the broker's messages.
    pub(super) fn facts(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
        recorded: Option<&LogRecord>,
    ) -> Facts {
        let waiting = self.results.get(id, endpoint);
        let log_status = match (recorded, waiting) {
            (Some(LogRecord::Delivered), _) => Some(LogStatus::Delivered),
            (Some(LogRecord::Open(record)), None) => Some(LogStatus::of(record)),
            (None, Some(waiting)) => Some(LogStatus::of(waiting)),
            (Some(LogRecord::Open(record)), Some(waiting)) => {
                let mut both = record.clone();
                both.absorb(waiting);
                Some(LogStatus::of(&both))
            }
            (None, None) => None,
        };
        Facts {
            log_status,
            dead_letter: self.dead_letters.get(id, endpoint).copied(),
            queued: self.queued.get(id, endpoint).is_some(),
        }
    }

    /// Returns the endpoints for which the broker holds a message of this event.
    pub(super) fn endpoints_of<'a>(
        &'a self,
        id: &EventId,
    ) -> impl Iterator<Item = &'a EndpointName> {
        let dead_letters = self.dead_letters.of_event(id).iter();
        let results = self.results.of_event(id).iter();
        let queued = self.queued.of_event(id).iter();
        let dead_letters = dead_letters.map(|(endpoint, _)| endpoint);
        let results = results.map(|(endpoint, _)| endpoint);
        let queued = queued.map(|(endpoint, ())| endpoint);
        dead_letters.chain(results).chain(queued)
    }

    /// Returns each delivery with a dead letter or a waiting result, and the time when
    /// its event was accepted. May contain duplicates.
    pub(super) fn deliveries(
        &self,
    ) -> impl Iterator<Item = (&EventId, &EndpointName, Option<wahook_domain::UnixMillis>)> {
        let dead_letters = self.dead_letters.0.iter().flat_map(|(id, of_event)| {
            let each = of_event.iter();
            each.map(move |(endpoint, dead_letter)| (id, endpoint, dead_letter.accepted_at))
        });
        let results = self.results.0.iter().flat_map(|(id, of_event)| {
            let each = of_event.iter();
            each.map(move |(endpoint, record)| (id, endpoint, Some(record.created_at)))
        });
        dead_letters.chain(results)
    }
}

/// Adds the events of a queue that are `wanted` to those `found`. Returns true if the
/// search is complete.
async fn search_queue(
    inspector: &Inspector,
    queue: &str,
    wanted: &BTreeSet<EventId>,
    found: &mut BTreeSet<EventId>,
) -> Result<bool, LookError> {
    let mut look = inspector.look(queue).await?;
    let is_complete = loop {
        let Some(seen) = look.next().await? else {
            break true;
        };
        if seen.deliveries() >= MAX_DELIVERIES {
            break false;
        }
        if let Some(id) = seen.id().filter(|id| wanted.contains(id)) {
            found.insert(id);
            if found.len() == wanted.len() {
                break true;
            }
        }
    };
    look.requeue().await;
    Ok(is_complete)
}

/// The log's record of a delivery.
#[derive(Debug, Clone)]
pub(super) enum LogRecord {
    Delivered,
    Open(DeliveryRecord),
}
