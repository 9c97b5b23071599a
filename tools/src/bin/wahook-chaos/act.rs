//! Execution of a row: its load, its faults and its end.

mod evidence;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use wahook_tests::random::Random;

use crate::gateway::{Answers, Gateway, Rate};
use crate::health;
use crate::other_log::OtherLog;
use crate::script::{Plan, Script};
use crate::stage::{RETRIES, Stage};
use crate::until::until;

/// Extent of the fault matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// Short form, for continuous integration.
    Short,
    /// Full form, run manually.
    Long,
}

impl Size {
    pub(crate) fn pick<T>(self, short: T, long: T) -> T {
        match self {
            Self::Short => short,
            Self::Long => long,
        }
    }
}

pub(crate) struct Act<'a> {
    pub(crate) stage: &'a mut Stage,
    pub(crate) size: Size,
    pub(crate) random: Random,
    /// Number of injected faults, such as killed processes.
    pub(crate) kills: u32,
    /// Additional note for the table.
    pub(crate) note: String,
    /// Duplicates that one fault may cause.
    pub(crate) duplicates_per_kill: u64,
    pub(crate) plan: Plan,
    row: &'static str,
    began: Instant,
    gateway: Option<Gateway>,
    next_number: u64,
    answers: Answers,
    /// Log of this row, if not the default log.
    other_log: Option<OtherLog>,
}

impl<'a> Act<'a> {
    pub(crate) fn new(stage: &'a mut Stage, row: &'static str, size: Size, seed: u64) -> Self {
        stage.receiver.forget();
        stage.set_script(Script::Mixed);
        Self {
            stage,
            size,
            random: Random::seeded(seed),
            kills: 0,
            note: String::new(),
            duplicates_per_kill: 0,
            plan: Plan::usual(RETRIES),
            row,
            began: Instant::now(),
            gateway: None,
            next_number: 0,
            answers: Answers::default(),
            other_log: None,
        }
    }

    /// Sets the behaviour of the webhook for this row.
    pub(crate) fn webhook(&mut self, script: Script) {
        self.plan.script = script;
        self.stage.set_script(script);
    }

    /// Starts sending.
    pub(crate) fn send(&mut self, rate: Rate) -> anyhow::Result<()> {
        self.send_to(vec![self.stage.producer_url()], rate)
    }

    /// Starts sending each event to all of these producers.
    pub(crate) fn send_to(&mut self, producers: Vec<String>, rate: Rate) -> anyhow::Result<()> {
        self.plan.copies = u32::try_from(producers.len())?;
        let gateway = Gateway::start(self.row, producers, self.next_number, rate)?;
        self.gateway = Some(gateway);
        Ok(())
    }

    /// Starts the load of the ordered endpoint.
    pub(crate) fn send_ordered(&mut self) -> anyhow::Result<()> {
        let ordered = self.stage.ordered.as_mut();
        ordered.context("no ordered endpoint")?.send()
    }

    /// Ends the load of the ordered endpoint, if there is one, and adds its result to the note.
    /// Returns its faults.
    pub(crate) async fn ordered_done(&mut self) -> anyhow::Result<Option<String>> {
        let Some(ordered) = &mut self.stage.ordered else {
            return Ok(None);
        };
        let Some(outcome) = ordered.finish().await? else {
            return Ok(None);
        };
        if !self.note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(&outcome.note);
        Ok(outcome.fault)
    }

    pub(crate) fn gateway(&self) -> anyhow::Result<&Gateway> {
        self.gateway.as_ref().context("the gateway is not running")
    }

    /// Sends a burst and waits until all of it is accepted.
    pub(crate) async fn send_burst(&mut self, events: u64) -> anyhow::Result<()> {
        self.send(Rate::burst(events))?;
        self.all_accepted().await
    }

    /// Waits until all events to send are accepted.
    pub(crate) async fn all_accepted(&mut self) -> anyhow::Result<()> {
        if let Some(gateway) = self.gateway.take() {
            let answers = gateway.finish().await?;
            self.keep(answers);
        }
        Ok(())
    }

    pub(crate) async fn stop_sending(&mut self) -> anyhow::Result<()> {
        if let Some(gateway) = self.gateway.take() {
            let answers = gateway.stop().await?;
            self.keep(answers);
        }
        Ok(())
    }

    fn keep(&mut self, answers: Answers) {
        let last = answers.accepted.last().max(answers.unknown.last());
        self.next_number = last.map_or(self.next_number, |last| last + 1);
        self.answers.accepted.extend(answers.accepted);
        self.answers.unknown.extend(answers.unknown);
    }

    /// Waits until `more` further events are accepted.
    pub(crate) async fn more_accepted(&self, more: usize) -> anyhow::Result<()> {
        let enough = self.gateway()?.accepted() + more;
        until("more events are accepted", || async {
            Ok(self.gateway()?.accepted() >= enough)
        })
        .await
    }

    /// Waits until `more` further posts have arrived.
    pub(crate) async fn more_posts(&self, more: usize) -> anyhow::Result<()> {
        let enough = self.stage.receiver.count() + more;
        until("more posts arrive", || async {
            Ok(self.stage.receiver.count() >= enough)
        })
        .await
    }

    /// Waits until the producer rejects an event.
    pub(crate) async fn some_refused(&self) -> anyhow::Result<()> {
        let before = self.gateway()?.refused();
        until("an event is rejected", || async {
            Ok(self.gateway()?.refused() > before)
        })
        .await
    }

    /// Waits until the log has a final state for every event and all queues except the dead
    /// letters are empty.
    pub(crate) async fn all_done(&mut self) -> anyhow::Result<()> {
        self.stop_sending().await?;
        let wanted = self.answers.accepted.len() as u64;
        let log = self.log().clone();
        until(&format!("{wanted} events are final in the log"), || async {
            // Retried while the log is unavailable.
            Ok(count_ended(&log, self.plan.is_redriven)
                .await
                .is_ok_and(|ended| ended >= wanted))
        })
        .await?;
        until("the queues are empty", || async {
            // Retried while a queue is still recovering.
            let broker = health::broker(self.stage).await;
            Ok(broker.is_ok_and(|broker| broker.is_quiet()))
        })
        .await
    }

    fn log(&self) -> &Collection<Document> {
        match &self.other_log {
            Some(other) => &other.records,
            None => self.stage.log(),
        }
    }

    /// Moves the log of this row to other servers, which run as long as the row.
    pub(crate) async fn log_on<S: Any + Send + Sync>(
        &mut self,
        servers: S,
        uri: String,
    ) -> anyhow::Result<Arc<S>> {
        let servers = Arc::new(servers);
        self.stage.only_consumer(&[("MONGODB_URI", &uri)]).await;
        let records = self.stage.log_on(&uri).await?;
        self.other_log = Some(OtherLog::new(uri, records, &servers));
        Ok(servers)
    }

    /// Removes dead letters and log records of this row.
    pub(crate) async fn sweep(self) -> anyhow::Result<()> {
        self.stage.command(&["dead", "discard", "--all"]).await?;
        self.stage.log().delete_many(doc! {}).await?;
        Ok(())
    }
}

async fn count_ended(log: &Collection<Document>, is_redriven: bool) -> anyhow::Result<u64> {
    let ended: &[&str] = if is_redriven {
        &["success"]
    } else {
        &["success", "failed"]
    };
    Ok(log
        .count_documents(doc! { "status": { "$in": ended } })
        .await?)
}
