//! The search for every delivery: once through all, and then again and again
//! for those that do not add up, until they do or their grace is over.

mod resolve;

use anyhow::bail;
use indicatif::ProgressBar;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};
use tokio::time::Instant;
use wahook_delivery_log::{MongoLog, Surveyed};
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_queue::{Depth, Inspector};
use wahook_runtime::{Shutdown, clock};

use super::{
    broker_state::{BrokerState, Recorded},
    classify::{Location, LogStatus, Suspicion, judge},
    patience::Watched,
    tally::Tally,
};

/// Ids that the log is asked for at once.
const AT_ONCE: usize = 1_000;
/// A retry that is due this soon may have left its wait queue already: it is
/// waited for, as if it were due.
const ON_THE_MOVE: Duration = Duration::from_secs(1);

/// What is asked for.
#[derive(Debug)]
pub(super) struct Question {
    /// At these endpoints alone; at all where none is named.
    pub(super) endpoints: BTreeSet<EndpointName>,
    /// How long a consumer may have a message at hand.
    pub(super) at_hand: Duration,
    /// How long it is granted; shorter where `--grace` says so.
    pub(super) grace: Duration,
    /// Missing letters were discarded on purpose.
    pub(super) letters_discarded: bool,
}

/// A delivery that does not add up (yet). Takes about 150 bytes.
#[derive(Debug, Clone)]
pub(super) struct Suspect {
    pub(super) id: EventId,
    /// None where nothing is known of an accepted event at any endpoint.
    pub(super) endpoint: Option<EndpointName>,
    pub(super) doubt: Suspicion,
    since: Instant,
}

/// The search, and what it has found.
pub(super) struct Search<'a> {
    pub(super) question: Question,
    pub(super) log: &'a MongoLog,
    pub(super) inspector: &'a Inspector,
    pub(super) shutdown: &'a Shutdown,
    pub(super) bar: ProgressBar,
    pub(super) evidence: BrokerState,
    pub(super) tally: Tally,
    pub(super) cases: Vec<Suspect>,
    /// Deliveries by the wait queue that must hold them: about 150 bytes each.
    waiting: BTreeMap<i64, Vec<Waiting>>,
    watched: BTreeMap<EndpointName, Watched>,
}

struct Waiting {
    id: EventId,
    endpoint: EndpointName,
    due: UnixMillis,
    /// When its queue was first too short, if ever.
    since: Option<Instant>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        question: Question,
        log: &'a MongoLog,
        inspector: &'a Inspector,
        shutdown: &'a Shutdown,
        bar: ProgressBar,
    ) -> Self {
        Self {
            question,
            log,
            inspector,
            shutdown,
            bar,
            evidence: BrokerState::default(),
            tally: Tally::default(),
            cases: Vec::new(),
            waiting: BTreeMap::new(),
            watched: BTreeMap::new(),
        }
    }

    /// Goes through all that was accepted in a window of time.
    pub(super) async fn go_through(
        &mut self,
        since: UnixMillis,
        until: UnixMillis,
    ) -> anyhow::Result<()> {
        self.begin().await?;
        // What the broker holds and the log has not shown.
        let within = |at: Option<UnixMillis>| at.is_some_and(|at| at >= since && at < until);
        let deliveries = self.evidence.deliveries();
        let mut unseen: HashSet<_> = deliveries
            .filter(|(_, _, accepted_at)| within(*accepted_at))
            .map(|(id, endpoint, _)| (id.clone(), endpoint.clone()))
            .collect();
        let mut survey = self.log.survey(since, until).await?;
        while let Some(surveyed) = survey.next().await? {
            self.bar.inc(1);
            self.stop_when_told()?;
            let Some((id, endpoint, recorded)) = sorted(surveyed) else {
                self.tally.foreign += 1;
                continue;
            };
            let key = (id, endpoint);
            unseen.remove(&key);
            self.consider(key.0, key.1, Some(&recorded), None);
        }
        let ids: BTreeSet<_> = unseen.iter().map(|(id, _)| id.clone()).collect();
        let mut recorded = self.look_up(&ids).await?;
        for (id, endpoint) in unseen {
            let known = take(&mut recorded, &id, &endpoint);
            self.consider(id, endpoint, known.as_ref(), None);
        }
        self.count_the_waiting().await
    }

    /// Goes through the ids that were accepted.
    pub(super) async fn go_through_ids(&mut self, ids: &BTreeSet<EventId>) -> anyhow::Result<()> {
        self.begin().await?;
        let ids: Vec<_> = ids.iter().collect();
        for some in ids.chunks(AT_ONCE) {
            self.stop_when_told()?;
            let some = some.iter().copied().cloned().collect();
            let mut recorded = self.look_up(&some).await?;
            for id in some {
                self.bar.inc(1);
                let found = recorded.remove(&id).unwrap_or_default();
                self.consider_event(id, found, None);
            }
        }
        self.count_the_waiting().await
    }

    /// Every endpoint that was seen, and its queue.
    pub(super) fn watched(&self) -> impl Iterator<Item = (&EndpointName, Option<Depth>)> {
        let watched = self.watched.iter();
        watched.map(|(endpoint, queue)| (endpoint, queue.depth))
    }

    /// All queues of a virtual host can't be listed over AMQP, so those of the
    /// endpoints are asked for that are named, or else can be known of.
    async fn begin(&mut self) -> anyhow::Result<()> {
        let mut endpoints = self.question.endpoints.clone();
        if endpoints.is_empty() {
            endpoints = self.log.recent_endpoints().await?;
            endpoints.insert(EndpointName::default());
        }
        let watched = endpoints.into_iter();
        self.watched = watched.map(|name| (name, Watched::default())).collect();
        self.read_broker().await
    }

    async fn read_broker(&mut self) -> anyhow::Result<()> {
        self.evidence.read_results(self.inspector).await?;
        let (inspector, bar) = (self.inspector, &self.bar);
        self.evidence.read_letters(inspector, bar).await?;
        Ok(())
    }

    /// Considers an event at every endpoint at which anything is known of it.
    fn consider_event(
        &mut self,
        id: EventId,
        recorded: Vec<(EndpointName, Recorded)>,
        before: Option<&Suspect>,
    ) {
        let held = self.evidence.endpoints_of(&id).cloned();
        let mut endpoints: BTreeSet<_> = held.collect();
        endpoints.extend(recorded.iter().map(|(endpoint, _)| endpoint.clone()));
        if !self.question.endpoints.is_empty() {
            endpoints.clone_from(&self.question.endpoints);
        }
        if endpoints.is_empty() {
            self.doubt(id, None, Suspicion::Nowhere, before.map(|case| case.since));
            return;
        }
        for endpoint in endpoints {
            let found = recorded.iter().find(|(name, _)| *name == endpoint);
            self.consider(
                id.clone(),
                endpoint,
                found.map(|(_, recorded)| recorded),
                before,
            );
        }
    }

    fn consider(
        &mut self,
        id: EventId,
        endpoint: EndpointName,
        recorded: Option<&Recorded>,
        before: Option<&Suspect>,
    ) {
        let wanted = &self.question.endpoints;
        if !wanted.is_empty() && !wanted.contains(&endpoint) {
            return;
        }
        let known = self.evidence.of(&id, &endpoint, recorded);
        if !self.watched.contains_key(&endpoint) {
            self.watched.insert(endpoint.clone(), Watched::default());
        }
        let soon = clock::now().plus(ON_THE_MOVE);
        match judge(known, soon, self.question.letters_discarded) {
            Ok(Location::Retrying) if !known.queued => {
                if let Some(LogStatus::Retrying { due, wait_ms }) = known.standing {
                    let in_doubt = |case: &&Suspect| match case.doubt {
                        Suspicion::Short { .. } => true,
                        doubt => doubt == Suspicion::Overdue { due },
                    };
                    let since = before.filter(in_doubt).map(|case| case.since);
                    let waiting = Waiting {
                        id,
                        endpoint,
                        due,
                        since,
                    };
                    self.waiting.entry(wait_ms).or_default().push(waiting);
                }
            }
            Ok(place) => self.tally.add(&endpoint, place, known.queued),
            Err(doubt) => {
                // Another doubt has a time of its own.
                let same = before.filter(|case| case.doubt == doubt);
                self.doubt(id, Some(endpoint), doubt, same.map(|case| case.since));
            }
        }
    }

    fn doubt(
        &mut self,
        id: EventId,
        endpoint: Option<EndpointName>,
        doubt: Suspicion,
        since: Option<Instant>,
    ) {
        self.cases.push(Suspect {
            id,
            endpoint,
            doubt,
            since: since.unwrap_or_else(Instant::now),
        });
    }

    /// Each wait queue must hold at least as many messages as there are
    /// deliveries that wait in it. They are not read: who holds a message over
    /// its time delays its retry. Where there is no such wait queue, the endpoint
    /// is paused: its events wait in their work queue, whenever they are due.
    async fn count_the_waiting(&mut self) -> anyhow::Result<()> {
        for (wait_ms, waiting) in std::mem::take(&mut self.waiting) {
            let queue = format!("wahook.wait.{wait_ms}");
            let depth = self.inspector.depth(&queue).await?;
            self.tally.wait_queues.insert(wait_ms, depth);
            let messages = depth.map_or(0, |depth| depth.messages as usize);
            let soon = clock::now().plus(ON_THE_MOVE);
            let must = waiting
                .iter()
                .filter(|delivery| delivery.due > soon)
                .count();
            for delivery in waiting {
                let Waiting {
                    id,
                    endpoint,
                    due,
                    since,
                } = delivery;
                if depth.is_none() {
                    self.doubt(id, Some(endpoint), Suspicion::Overdue { due }, since);
                } else if due <= soon {
                    self.doubt(id, Some(endpoint), Suspicion::Overdue { due }, None);
                } else if must > messages {
                    self.doubt(id, Some(endpoint), Suspicion::Short { wait_ms }, since);
                } else {
                    self.tally.add(&endpoint, Location::Retrying, false);
                }
            }
        }
        Ok(())
    }

    async fn look_up(
        &self,
        ids: &BTreeSet<EventId>,
    ) -> anyhow::Result<HashMap<EventId, Vec<(EndpointName, Recorded)>>> {
        let ids: Vec<_> = ids.iter().cloned().collect();
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        for some in ids.chunks(AT_ONCE) {
            for surveyed in self.log.survey_of(some).await? {
                if let Some((id, endpoint, recorded)) = sorted(surveyed) {
                    found.entry(id).or_default().push((endpoint, recorded));
                }
            }
        }
        Ok(found)
    }

    fn stop_when_told(&self) -> anyhow::Result<()> {
        if self.shutdown.is_soft() {
            bail!("interrupted");
        }
        Ok(())
    }
}

impl Suspect {
    fn may_be_at(&self, endpoint: &EndpointName) -> bool {
        self.endpoint.as_ref().is_none_or(|own| own == endpoint)
    }
}

fn sorted(surveyed: Surveyed) -> Option<(EventId, EndpointName, Recorded)> {
    match surveyed {
        Surveyed::Delivered(id, endpoint) => Some((id, endpoint, Recorded::Delivered)),
        Surveyed::Open(record) => {
            let (id, endpoint) = (record.event_id.clone(), record.endpoint.clone());
            Some((id, endpoint, Recorded::Open(record)))
        }
        Surveyed::Foreign => None,
    }
}

fn take(
    recorded: &mut HashMap<EventId, Vec<(EndpointName, Recorded)>>,
    id: &EventId,
    endpoint: &EndpointName,
) -> Option<Recorded> {
    let of_event = recorded.get_mut(id)?;
    let place = of_event.iter().position(|(name, _)| name == endpoint)?;
    Some(of_event.swap_remove(place).1)
}
