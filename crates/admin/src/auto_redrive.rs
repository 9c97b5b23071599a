//! Automatic redrive: sends dead letters of an outage again once their endpoint has recovered.
//!
//! On RabbitMQ one consumer at a time does so, because a letter that one has taken is hidden
//! from the others. Each of them looks for the letters of its own recoveries.

mod families;
mod search;
mod turns;

use std::{future::pending, time::Duration};

use anyhow::ensure;
use prometheus::{IntCounterVec, Registry};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use wahook_domain::Recoveries;
use wahook_queue::{Broker, DeadLetters};
use wahook_runtime::Shutdown;

use crate::{
    dead::{
        Report,
        sweep::{Action, Sweep},
    },
    publishing,
};
use families::AutoRedriveFamilies;
use search::Search;
use turns::Turns;

const NAME: &str = "wahook-consumer auto redrive";
/// Time after which the dead letters are opened again: after an error, while another consumer
/// has them open, and after a turn that found nothing, so that recoveries are looked at together.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Letters of a turn at most, as seconds at the rate. Then other endpoints and consumers have
/// their turns, and the letters that were read and not redriven are visible to commands again.
const TURN_SECONDS: u32 = 60;

/// Task that redrives dead letters after recoveries.
pub struct AutoRedriver {
    broker: Broker,
    recoveries: watch::Receiver<Recoveries>,
    redriven: IntCounterVec,
    turns: Turns,
    /// Recoveries whose failure is logged.
    warned: Recoveries,
}

/// Result of a turn.
enum Turn {
    /// All dead letters were read, and none belongs to one of these recoveries.
    Read { without_letters: Recoveries },
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
            turns: Turns::default(),
            warned: Recoveries::new(),
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
            let due = {
                let recoveries = self.recoveries.borrow_and_update();
                self.turns.due(&recoveries, Instant::now())
            };
            let Some((endpoint, recovery)) = self.turns.take(&due) else {
                let next_look = self.turns.next_look(&self.recoveries.borrow());
                tokio::select! {
                    () = shutdown.soft() => {}
                    _ = self.recoveries.changed() => {}
                    () = until(next_look) => {}
                }
                continue;
            };
            let search = Search::new(endpoint, recovery, due);
            match self.take_turn(&search, shutdown).await {
                Ok(Turn::Read { without_letters }) => {
                    let found = !without_letters.contains_key(&search.endpoint);
                    self.turns.record_empty(without_letters, Instant::now());
                    if found {
                        self.turns.record_letters(&search.endpoint);
                        continue;
                    }
                }
                Ok(Turn::More) => {
                    self.turns.record_letters(&search.endpoint);
                    continue;
                }
                Ok(Turn::Busy) => {}
                Err(error) => self.warn_once(search, &error),
            }
            unless_stopped(shutdown, sleep(AGAIN_AFTER)).await;
        }
    }

    /// Returns true once the program stops, or the consumer has ended.
    fn is_over(&self, shutdown: &Shutdown) -> bool {
        shutdown.is_soft() || self.recoveries.has_changed().is_err()
    }

    /// Logs the first failure of a recovery.
    fn warn_once(&mut self, search: Search, error: &anyhow::Error) {
        let (endpoint, recovery) = (search.endpoint, search.recovery);
        let error = format!("{error:#}");
        if self.warned.insert(endpoint.clone(), recovery) == Some(recovery) {
            tracing::debug!(%endpoint, error, "dead letters still not redriven");
        } else {
            tracing::warn!(%endpoint, error, "dead letters not redriven after the endpoint recovered, trying again");
        }
    }

    async fn take_turn(&self, search: &Search, shutdown: &Shutdown) -> anyhow::Result<Turn> {
        let opening = DeadLetters::open_for_auto_redrive(&self.broker, NAME);
        let Some(opened) = unless_stopped(shutdown, opening).await else {
            return Ok(Turn::More);
        };
        let Some(mut letters) = opened? else {
            return Ok(Turn::Busy);
        };
        let mut report = Report::default();
        let swept = if letters.left() > 0 {
            self.sweep(&mut letters, &mut report, search, shutdown)
                .await
        } else {
            Ok(())
        };
        let are_all_read = letters.left() == 0;
        letters.close().await;
        if report.done > 0 {
            let (endpoint, redriven) = (&search.endpoint, report.done);
            let counter = self.redriven.with_label_values(&[endpoint.as_str()]);
            counter.inc_by(redriven.into());
            tracing::info!(%endpoint, redriven, "dead letters redriven after the endpoint recovered");
        }
        swept?;
        ensure!(report.failed() == 0, "{report}");
        Ok(if are_all_read {
            let without_letters = search.without_letters();
            Turn::Read { without_letters }
        } else {
            Turn::More
        })
    }

    async fn sweep(
        &self,
        letters: &mut DeadLetters,
        report: &mut Report,
        search: &Search,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let connecting = publishing::connect(self.broker.clone(), NAME);
        let Some(connected) = unless_stopped(shutdown, connecting).await else {
            return Ok(());
        };
        let (publisher, task) = connected?;
        let action = Action::AutoRedrive { publisher };
        *report = action.report();
        let rate = search.recovery.rule.rate.per_second();
        let sweep = Sweep {
            action,
            limit: Some(rate.get().saturating_mul(TURN_SECONDS)),
            rate: Some(rate),
            selects: &|letter| search.selects(letter),
            is_stopped: &|| {
                let recoveries = self.recoveries.borrow();
                let is_latest = recoveries.get(&search.endpoint) == Some(&search.recovery);
                !is_latest || self.is_over(shutdown)
            },
            on_progress: &|_| {},
        };
        let swept = sweep.run(letters, report).await;
        publishing::close(task).await;
        swept
    }
}

/// Returns the result of a step; `None` if the program stops before.
async fn unless_stopped<T>(shutdown: &Shutdown, step: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        () = shutdown.soft() => None,
        result = step => Some(result),
    }
}

async fn until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests;
