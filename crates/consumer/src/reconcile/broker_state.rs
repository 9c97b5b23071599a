//! What the broker holds, by id.

use indicatif::ProgressBar;
use std::collections::{BTreeSet, HashMap};
use wahook_domain::{DeliveryRecord, EndpointName, EventId};
use wahook_queue::{
    Inspector, LookError,
    topology::{DEAD_QUEUE, RESULTS_QUEUE, work_queue},
};

use super::classify::{DeadLetterInfo, Facts, LogStatus};

/// A work queue gives a message up after 100 deliveries; looking must not be
/// what uses them up.
const DELIVERIES_LEFT_ALONE: u64 = 50;

/// Letters, results and messages by event and endpoint: about 200 bytes for each
/// letter and 400 for each result; of queued messages only those that were asked
/// for.
#[derive(Debug, Default)]
pub(super) struct BrokerState {
    letters: ById<DeadLetterInfo>,
    results: ById<DeliveryRecord>,
    queued: ById<()>,
    /// Letters that do not say whose they are.
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
    fn of(&self, id: &EventId) -> &[(EndpointName, T)] {
        self.0.get(id).map_or(&[], Vec::as_slice)
    }

    fn get(&self, id: &EventId, endpoint: &EndpointName) -> Option<&T> {
        let (_, found) = self.of(id).iter().find(|(name, _)| name == endpoint)?;
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
    /// Looks through the dead letters.
    pub(super) async fn read_letters(
        &mut self,
        inspector: &Inspector,
        bar: &ProgressBar,
    ) -> Result<(), LookError> {
        let mut letters = ById::default();
        self.unreadable = 0;
        let mut look = inspector.look(DEAD_QUEUE).await?;
        while let Some(seen) = look.next().await? {
            bar.inc(1);
            let id = seen.id();
            let letter = seen.letter();
            let (Some(id), Some(endpoint)) = (id, letter.endpoint) else {
                self.unreadable += 1;
                continue;
            };
            let accepted_at = letter.content.ok().map(|event| event.accepted_at);
            let letter = DeadLetterInfo {
                moved_by_broker: letter.moved_by_broker,
                accepted_at,
            };
            letters.insert(id, endpoint, letter, |known, other| {
                known.moved_by_broker &= other.moved_by_broker;
            });
        }
        look.put_back().await;
        self.letters = letters;
        Ok(())
    }

    /// Looks through the results that the log could not take yet.
    pub(super) async fn read_results(&mut self, inspector: &Inspector) -> Result<(), LookError> {
        let mut results = ById::default();
        let mut look = inspector.look(RESULTS_QUEUE).await?;
        while let Some(seen) = look.next().await? {
            // The drainer moves what is no result to the dead letters.
            let Ok(result) = seen.result() else { continue };
            let record = DeliveryRecord::first(&result);
            let (id, endpoint) = (record.event_id.clone(), record.endpoint.clone());
            results.insert(id, endpoint, record, |known, other| known.absorb(&other));
        }
        look.put_back().await;
        self.results = results;
        Ok(())
    }

    /// Looks for messages of these events in an endpoint's work queue; says
    /// whether all of the queue was seen that had to be.
    pub(super) async fn read_queue(
        &mut self,
        inspector: &Inspector,
        endpoint: &EndpointName,
        wanted: &BTreeSet<EventId>,
    ) -> Result<bool, LookError> {
        let mut look = inspector.look(&work_queue(endpoint)).await?;
        let mut found = BTreeSet::new();
        let whole = loop {
            let Some(seen) = look.next().await? else {
                break true;
            };
            if seen.deliveries() >= DELIVERIES_LEFT_ALONE {
                break false;
            }
            if let Some(id) = seen.id().filter(|id| wanted.contains(id)) {
                found.insert(id);
                if found.len() == wanted.len() {
                    break true;
                }
            }
        };
        look.put_back().await;
        for id in found {
            self.queued.insert(id, endpoint.clone(), (), |(), ()| ());
        }
        Ok(whole)
    }

    /// All that is known of a delivery, of which the log has this record.
    pub(super) fn of(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
        recorded: Option<&Recorded>,
    ) -> Facts {
        let waiting = self.results.get(id, endpoint);
        let standing = match (recorded, waiting) {
            (Some(Recorded::Delivered), _) => Some(LogStatus::Delivered),
            (Some(Recorded::Open(record)), None) => Some(LogStatus::of(record)),
            (None, Some(waiting)) => Some(LogStatus::of(waiting)),
            (Some(Recorded::Open(record)), Some(waiting)) => {
                let mut both = record.clone();
                both.absorb(waiting);
                Some(LogStatus::of(&both))
            }
            (None, None) => None,
        };
        Facts {
            standing,
            letter: self.letters.get(id, endpoint).copied(),
            queued: self.queued.get(id, endpoint).is_some(),
        }
    }

    /// The endpoints at which the broker holds anything of this event.
    pub(super) fn endpoints_of<'a>(
        &'a self,
        id: &EventId,
    ) -> impl Iterator<Item = &'a EndpointName> {
        let letters = self.letters.of(id).iter().map(|(endpoint, _)| endpoint);
        let results = self.results.of(id).iter().map(|(endpoint, _)| endpoint);
        let queued = self.queued.of(id).iter().map(|(endpoint, ())| endpoint);
        letters.chain(results).chain(queued)
    }

    /// Every delivery with a letter or a waiting result, and when its event was
    /// accepted; some are named twice.
    pub(super) fn deliveries(
        &self,
    ) -> impl Iterator<Item = (&EventId, &EndpointName, Option<wahook_domain::UnixMillis>)> {
        let letters = self.letters.0.iter().flat_map(|(id, of_event)| {
            let each = of_event.iter();
            each.map(move |(endpoint, letter)| (id, endpoint, letter.accepted_at))
        });
        let results = self.results.0.iter().flat_map(|(id, of_event)| {
            let each = of_event.iter();
            each.map(move |(endpoint, record)| (id, endpoint, Some(record.created_at)))
        });
        letters.chain(results)
    }
}

/// What the log has of a delivery.
#[derive(Debug, Clone)]
pub(super) enum Recorded {
    Delivered,
    Open(DeliveryRecord),
}
