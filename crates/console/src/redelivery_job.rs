//! Job that sends deliveries again, in the order of their acceptance, at a limited rate.

use std::{collections::BTreeMap, num::NonZeroU32};

use tokio::task::{JoinError, JoinSet};
use wahook_admin::dead::sweep::pace;
use wahook_domain::EndpointName;
use wahook_queue::{Outgoing, PublishError, Publisher};
use wahook_runtime::{Shutdown, clock};

use crate::{
    jobs::Job,
    log::Log,
    redelivery_order::Target,
    resend::{Unsent, event_of},
};

/// Redeliveries in flight. Each reads the log, which has to answer others meanwhile.
const MAX_IN_FLIGHT: usize = 4;

/// Way of redeliveries.
#[derive(Clone)]
pub(crate) struct Resender {
    pub(crate) log: Log,
    pub(crate) publisher: Publisher,
    /// Another endpoint than that of the delivery.
    pub(crate) to: Option<EndpointName>,
}

/// Redelivery that the broker has, or the reason why it was not sent.
type Sent = Result<(), Unsent>;

/// Numbers of redeliveries.
#[derive(Default)]
struct Tally {
    done: u64,
    failed: u64,
    unsent: BTreeMap<Unsent, u64>,
    /// Error by which the next would fail too.
    broken: Option<anyhow::Error>,
}

impl Resender {
    /// Sends the deliveries again, until the job is stopped. `not_logged` is the number of
    /// selected ones that the log does not have.
    pub(crate) async fn run(
        self,
        targets: Vec<Target>,
        not_logged: u64,
        rate: NonZeroU32,
        (job, shutdown): (&Job, &Shutdown),
    ) -> anyhow::Result<()> {
        let mut tally = Tally::default();
        tally.add(Unsent::NotLogged, not_logged);
        let (mut pace, mut in_flight) = (pace(rate), JoinSet::new());
        for target in targets {
            if tally.broken.is_some() || job.is_stopped(shutdown) {
                break;
            }
            pace.tick().await;
            while in_flight.len() >= MAX_IN_FLIGHT {
                tally.count(in_flight.join_next().await);
            }
            in_flight.spawn(self.clone().resend(target));
            while let Some(sent) = in_flight.try_join_next() {
                tally.count(Some(sent));
            }
            job.set_progress(tally.done, tally.failed);
        }
        while let Some(sent) = in_flight.join_next().await {
            tally.count(Some(sent));
        }
        job.set_progress(tally.done, tally.failed);
        if let Some(error) = tally.broken {
            let done = tally.done;
            return Err(error.context(format!("stopped after {done} redeliveries")));
        }
        anyhow::ensure!(tally.failed == 0, "{}", tally.text());
        Ok(())
    }

    /// Sends one delivery again. Fails if the next would fail too.
    async fn resend(self, target: Target) -> anyhow::Result<Sent> {
        let Target { event_id, endpoint } = target;
        let logged = self.log.delivery(event_id, endpoint.clone()).await;
        let logged = logged.map_err(|_| anyhow::anyhow!("the delivery log is unavailable"))?;
        let event = logged
            .ok_or(Unsent::NotLogged)
            .and_then(|logged| event_of(&logged));
        let event = match event {
            Ok(event) => event,
            Err(unsent) => return Ok(Err(unsent)),
        };
        let to = self.to.unwrap_or(endpoint);
        let message = Outgoing::redrive(&event, &to, clock::now());
        match self.publisher.publish(message).await {
            Ok(()) => Ok(Ok(())),
            Err(PublishError::Unroutable) => Ok(Err(Unsent::NoQueue)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Tally {
    fn count(&mut self, ended: Option<Result<anyhow::Result<Sent>, JoinError>>) {
        match ended {
            None => {}
            Some(Ok(Ok(Ok(())))) => self.done = self.done.saturating_add(1),
            Some(Ok(Ok(Err(unsent)))) => self.add(unsent, 1),
            Some(Ok(Err(error))) => self.broken = Some(error),
            Some(Err(error)) => self.broken = Some(error.into()),
        }
    }

    fn add(&mut self, unsent: Unsent, number: u64) {
        if number > 0 {
            self.failed = self.failed.saturating_add(number);
            let all = self.unsent.entry(unsent).or_default();
            *all = all.saturating_add(number);
        }
    }

    /// Returns the reasons, with their numbers.
    fn text(&self) -> String {
        let reasons = self.unsent.iter();
        let reasons = reasons.map(|(unsent, number)| format!("{number} not sent: {unsent}"));
        reasons.collect::<Vec<_>>().join("; ")
    }
}
