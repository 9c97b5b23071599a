//! Job that sends deliveries again, in the order of their acceptance, at a limited rate.
//!
//! A claim sends in windows. Before each of them, the store has the number of those sent before,
//! and the end of the window. So a killed claim leaves at most one window in doubt. What earlier
//! claims have left in doubt is sent in windows of one: a further kill repeats at most one of it.

mod tally;

use std::{collections::VecDeque, num::NonZeroU32, sync::Arc};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;
use wahook_admin::dead::sweep::pace;
use wahook_delivery_log::LoggedDelivery;
use wahook_domain::{EndpointName, EventId};
use wahook_queue::{Outgoing, PublishError, Publisher, StoredQueues};
use wahook_runtime::clock;

use crate::{
    claimed::Claimed,
    earlier_claims::EarlierClaims,
    log::Log,
    redelivery_order::{Id, Target},
    resend::{Unsent, event_of},
};
use tally::{Sent, Tally};

/// Redeliveries in flight. Each reads the log, which has to answer others meanwhile.
const MAX_IN_FLIGHT: usize = 4;
/// Deliveries of a window: those of a second, but at most these.
const MAX_WINDOW: u64 = 100;

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
        let most = u64::from(order.rate.get()).min(MAX_WINDOW);
        let mut items = VecDeque::new();
        let mut position = tally.position();
        let (mut window_end, begun_before) = (position, tally.begun());
        while tally.broken.is_none() && !claimed.is_stopped() {
            if position >= window_end {
                for sent in in_flight.drain(..) {
                    tally.count(sent.await);
                }
                let window = if position < begun_before { 1 } else { most };
                window_end = position.saturating_add(window);
                tally.begin(window_end);
                claimed.set_progress(tally.progress());
                claimed.store_progress().await;
                continue;
            }
            if items.is_empty() {
                items.extend(claimed.items(position).await?);
            }
            let Some(item) = items.pop_front() else {
                break;
            };
            pace.tick().await;
            in_flight.push_back(tokio::spawn(resending.clone().resend(item)));
            position = position.saturating_add(1);
            while let Some(sent) = next_ended(&mut in_flight) {
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
fn next_ended<T>(in_flight: &mut VecDeque<JoinHandle<T>>) -> Option<JoinHandle<T>> {
    let is_full = in_flight.len() >= MAX_IN_FLIGHT;
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

#[cfg(test)]
mod tests;
