//! Automatic redrive: sends dead letters of an outage again once their endpoint has recovered.
//!
//! On RabbitMQ one consumer at a time does so, because a letter that one has taken is hidden
//! from the others. Each of them looks for the letters of its own recoveries, one after
//! another.

mod families;

use std::{collections::BTreeMap, time::Duration};

use prometheus::{IntCounterVec, Registry};
use tokio::{sync::watch, time::sleep};
use wahook_domain::{DeadDelivery, EndpointName, Recovery, UnixMillis};
use wahook_queue::{Broker, DeadLetter, DeadLetters};
use wahook_runtime::Shutdown;

use crate::{
    dead::{
        Report,
        sweep::{Action, Sweep},
    },
    publishing,
};
use families::AutoRedriveFamilies;

const NAME: &str = "wahook-consumer auto redrive";
/// Time after which the dead letters are opened again, after an error or while another
/// consumer has them open.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Duration of a turn at most. Then other endpoints and consumers have theirs, and the letters
/// that the turn has read and not redriven are visible to commands again.
const TURN_SECONDS: u32 = 60;

/// Recoveries of endpoints by name.
type Recoveries = BTreeMap<EndpointName, Recovery>;

/// Task that redrives dead letters after recoveries.
pub struct AutoRedriver {
    broker: Broker,
    recoveries: watch::Receiver<Recoveries>,
    redriven: IntCounterVec,
    /// Recoveries without another letter to redrive.
    done: BTreeMap<EndpointName, UnixMillis>,
    /// Endpoint of the last turn.
    last: Option<EndpointName>,
}

/// Result of a turn.
enum Turn {
    /// No letter of the recovery is left.
    Done,
    /// There may be more letters.
    More,
    /// Another consumer has its turn.
    Busy,
}

impl AutoRedriver {
    /// Creates the task, and its metrics.
    ///
    /// # Errors
    /// If the registry has these metrics already.
    pub fn new(
        broker: Broker,
        recoveries: watch::Receiver<Recoveries>,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        Ok(Self {
            broker,
            recoveries,
            redriven: AutoRedriveFamilies::register(registry)?.redriven,
            done: BTreeMap::new(),
            last: None,
        })
    }

    /// Runs until `shutdown`, or until no recoveries can follow. Letters in flight are
    /// finished before, except at a hard stop.
    pub async fn run(mut self, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.hard() => {}
            () = self.take_turns(&shutdown) => {}
        }
    }

    async fn take_turns(&mut self, shutdown: &Shutdown) {
        while !self.is_over(shutdown) {
            let Some((endpoint, recovery)) = self.next() else {
                tokio::select! {
                    () = shutdown.soft() => {}
                    _ = self.recoveries.changed() => {}
                }
                continue;
            };
            self.last = Some(endpoint.clone());
            match self.take_turn(&endpoint, &recovery, shutdown).await {
                Ok(Turn::Done) => {
                    self.done.insert(endpoint, recovery.at);
                    continue;
                }
                Ok(Turn::More) => continue,
                Ok(Turn::Busy) => {}
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(%endpoint, error, "dead letters not redriven after the endpoint recovered, trying again");
                }
            }
            tokio::select! {
                () = shutdown.soft() => {}
                () = sleep(AGAIN_AFTER) => {}
            }
        }
    }

    /// Returns true once the program stops, or the consumer has ended.
    fn is_over(&self, shutdown: &Shutdown) -> bool {
        shutdown.is_soft() || self.recoveries.has_changed().is_err()
    }

    /// Returns the next recovery whose letters are not redriven yet, of each endpoint in turn.
    fn next(&mut self) -> Option<(EndpointName, Recovery)> {
        let recoveries = self.recoveries.borrow_and_update();
        next_of(&recoveries, &self.done, self.last.as_ref())
    }

    async fn take_turn(
        &self,
        endpoint: &EndpointName,
        recovery: &Recovery,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Turn> {
        let opened = DeadLetters::open_for_auto_redrive(&self.broker, NAME).await?;
        let Some(mut letters) = opened else {
            return Ok(Turn::Busy);
        };
        if letters.left() == 0 {
            letters.close().await;
            return Ok(Turn::Done);
        }
        let mut report = Report::default();
        let swept = self
            .sweep(&mut letters, &mut report, (endpoint, recovery), shutdown)
            .await;
        letters.close().await;
        if report.failed() > 0 {
            tracing::warn!(%endpoint, %report, "some dead letters could not be redriven after the endpoint recovered");
        }
        if report.done > 0 {
            let redriven = report.done;
            let counter = self.redriven.with_label_values(&[endpoint.as_str()]);
            counter.inc_by(redriven.into());
            tracing::info!(%endpoint, redriven, "dead letters redriven after the endpoint recovered");
        }
        swept.map(|()| match report.done {
            0 => Turn::Done,
            _ => Turn::More,
        })
    }

    async fn sweep(
        &self,
        letters: &mut DeadLetters,
        report: &mut Report,
        (endpoint, recovery): (&EndpointName, &Recovery),
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let (publisher, task) = publishing::connect(self.broker.clone(), NAME).await?;
        let action = Action::AutoRedrive { publisher };
        *report = action.report();
        let rate = recovery.rule.rate.per_second();
        let sweep = Sweep {
            action,
            limit: Some(rate.get().saturating_mul(TURN_SECONDS)),
            rate: Some(rate),
            selects: &|letter| selects(endpoint, recovery, letter),
            is_stopped: &|| {
                let is_latest = self.recoveries.borrow().get(endpoint) == Some(recovery);
                !is_latest || self.is_over(shutdown)
            },
            on_progress: &|_| {},
        };
        let swept = sweep.run(letters, report).await;
        publishing::close(task).await;
        swept
    }
}

fn next_of(
    recoveries: &Recoveries,
    done: &BTreeMap<EndpointName, UnixMillis>,
    last: Option<&EndpointName>,
) -> Option<(EndpointName, Recovery)> {
    let is_pending = |(endpoint, recovery): &(&EndpointName, &Recovery)| {
        done.get(*endpoint) != Some(&recovery.at)
    };
    let mut pending = recoveries.iter().filter(is_pending);
    let after =
        |(endpoint, _): &(&EndpointName, &Recovery)| last.is_none_or(|last| *endpoint > last);
    let next = pending.clone().find(after).or_else(|| pending.next());
    next.map(|(endpoint, recovery)| (endpoint.clone(), *recovery))
}

/// Returns true for a letter of the endpoint that the recovery concerns. Letters that the
/// broker moved by itself have no error of an attempt.
fn selects(endpoint: &EndpointName, recovery: &Recovery, letter: &DeadLetter) -> bool {
    let Some((died_at, event)) = letter.died_at.zip(letter.content.as_ref().ok()) else {
        return false;
    };
    let dead = DeadDelivery {
        died_at,
        reason: &letter.reason,
        auto_redrives: event.auto_redrives,
    };
    !letter.moved_by_broker && letter.endpoint.as_ref() == Some(endpoint) && recovery.selects(&dead)
}

#[cfg(test)]
mod tests;
