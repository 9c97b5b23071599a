//! Job that sends deliveries again, in the order of their acceptance, at a limited rate.

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroU32,
    sync::Arc,
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::{JoinError, JoinHandle};
use wahook_admin::dead::sweep::pace;
use wahook_delivery_log::LoggedDelivery;
use wahook_domain::{EndpointName, EventId};
use wahook_operator_state::Progress;
use wahook_queue::{Outgoing, PublishError, Publisher, StoredQueues};
use wahook_runtime::clock;

use crate::{
    claimed::Claimed,
    earlier_claims::EarlierClaims,
    log::Log,
    redelivery_order::{Id, Target},
    resend::{Unsent, event_of},
};

/// Redeliveries in flight. Each reads the log, which has to answer others meanwhile.
const MAX_IN_FLIGHT: usize = 4;

/// Order of a job, in the store.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobOrder {
    /// Another endpoint than that of the delivery.
    pub(crate) to: Option<String>,
    pub(crate) rate: NonZeroU32,
}

/// Way of redeliveries.
#[derive(Clone)]
pub(crate) struct Resender {
    pub(crate) log: Log,
    /// Queues of a data file.
    pub(crate) stored: Option<Arc<dyn StoredQueues>>,
    pub(crate) publisher: Publisher,
}

/// Redelivery of one job.
#[derive(Clone)]
struct Resending {
    resender: Resender,
    to: Option<EndpointName>,
    /// Earlier claims of a resumed job, whose redeliveries are not sent once more.
    earlier: Option<Arc<EarlierClaims>>,
}

/// Redelivery that the broker has, or the reason why it was not sent.
type Sent = Result<(), Unsent>;

/// Numbers of redeliveries, in their order: all up to their sum are done or failed.
#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    unsent: BTreeMap<Unsent, u64>,
    /// Error by which the next would fail too.
    broken: Option<anyhow::Error>,
}

impl Resender {
    /// Sends the deliveries again that the job has not reached, until it is stopped.
    pub(crate) async fn run(&self, claimed: &Claimed) -> anyhow::Result<()> {
        let order: JobOrder = serde_json::from_str(&claimed.order).context("order of the job")?;
        let to = order.to.map(|name| EndpointName::parse(&name));
        let resending = Resending {
            resender: self.clone(),
            to: to.transpose().context("order of the job")?,
            earlier: EarlierClaims::of(claimed, &self.log, self.stored.clone()),
        };
        let mut tally = Tally::from(&claimed.job.progress);
        let (mut pace, mut in_flight) = (pace(order.rate), VecDeque::new());
        let mut items = VecDeque::new();
        let mut position = tally.position();
        while tally.broken.is_none() && !claimed.is_stopped() {
            if items.is_empty() {
                items.extend(claimed.items(position).await?);
            }
            let Some(item) = items.pop_front() else {
                break;
            };
            pace.tick().await;
            in_flight.push_back(tokio::spawn(resending.clone().resend(item)));
            position = position.saturating_add(1);
            while let Some(sent) = next_ended(&mut in_flight, MAX_IN_FLIGHT) {
                tally.count(sent.await);
            }
            claimed.set_progress(tally.progress());
        }
        for sent in in_flight {
            tally.count(sent.await);
        }
        claimed.set_progress(tally.progress());
        if let Some(error) = tally.broken {
            let done = tally.done;
            return Err(error.context(format!("stopped after {done} redeliveries")));
        }
        anyhow::ensure!(
            tally.failed == 0 || claimed.is_stopped(),
            "{}",
            tally.text()
        );
        Ok(())
    }
}

/// Takes the oldest redelivery if it has ended, or if there are too many.
fn next_ended<T>(in_flight: &mut VecDeque<JoinHandle<T>>, most: usize) -> Option<JoinHandle<T>> {
    let is_full = in_flight.len() >= most;
    let oldest = in_flight.front()?;
    (is_full || oldest.is_finished()).then(|| in_flight.pop_front())?
}

impl Resending {
    /// Sends one delivery again. Fails if the next would fail too.
    async fn resend(self, item: String) -> anyhow::Result<Sent> {
        let Some(Target { event_id, endpoint }) = Id::parse(&item).ok().and_then(Id::target) else {
            return Ok(Err(Unsent::NotLogged));
        };
        let to = self.to.clone().unwrap_or_else(|| endpoint.clone());
        if let Some(earlier) = &self.earlier
            && earlier.have_sent(&event_id, &to).await?
        {
            return Ok(Ok(()));
        }
        let logged = self.delivery(&event_id, &endpoint).await?;
        let event = logged
            .ok_or(Unsent::NotLogged)
            .and_then(|logged| event_of(&logged));
        let event = match event {
            Ok(event) => event,
            Err(unsent) => return Ok(Err(unsent)),
        };
        let message = Outgoing::redrive(&event, &to, clock::now());
        match self.resender.publisher.publish(message).await {
            Ok(()) => Ok(Ok(())),
            Err(PublishError::Unroutable) => Ok(Err(Unsent::NoQueue)),
            Err(error) => Err(error.into()),
        }
    }

    async fn delivery(
        &self,
        event_id: &EventId,
        endpoint: &EndpointName,
    ) -> anyhow::Result<Option<LoggedDelivery>> {
        let log = &self.resender.log;
        let logged = log.delivery(event_id.clone(), endpoint.clone()).await;
        logged.map_err(|_| anyhow::anyhow!("the delivery log is unavailable"))
    }
}

impl From<&Progress> for Tally {
    fn from(progress: &Progress) -> Self {
        Self {
            done: progress.done,
            failed: progress.failed,
            unsent: serde_json::from_str(&progress.notes).unwrap_or_default(),
            broken: None,
        }
    }
}

impl Tally {
    /// Counts the next redelivery. After an error none counts: their order would be broken.
    fn count(&mut self, ended: Result<anyhow::Result<Sent>, JoinError>) {
        if self.broken.is_some() {
            return;
        }
        match ended {
            Ok(Ok(Ok(()))) => self.done = self.done.saturating_add(1),
            Ok(Ok(Err(unsent))) => {
                self.failed = self.failed.saturating_add(1);
                let all = self.unsent.entry(unsent).or_default();
                *all = all.saturating_add(1);
            }
            Ok(Err(error)) => self.broken = Some(error),
            Err(error) => self.broken = Some(error.into()),
        }
    }

    const fn position(&self) -> u64 {
        self.done.saturating_add(self.failed)
    }

    fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            failed: self.failed,
            // Numbers by name always have a JSON form.
            notes: serde_json::to_string(&self.unsent).unwrap_or_default(),
        }
    }

    /// Returns the reasons, with their numbers.
    fn text(&self) -> String {
        let reasons = self.unsent.iter();
        let reasons = reasons.map(|(unsent, number)| format!("{number} not sent: {unsent}"));
        reasons.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_back_and_stops_at_the_first_error() {
        let mut tally = Tally::default();
        tally.count(Ok(Ok(Ok(()))));
        tally.count(Ok(Ok(Err(Unsent::NotLogged))));
        tally.count(Ok(Err(anyhow::anyhow!("no connection"))));
        tally.count(Ok(Ok(Ok(()))));
        let again = Tally::from(&tally.progress());
        assert_eq!((again.done, again.failed, again.position()), (1, 1, 2));
        assert_eq!(again.text(), tally.text());
        assert!(again.text().starts_with("1 not sent: "), "{}", again.text());
    }
}
