//! `endpoints move` and `endpoints drop`.

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{Write, stdout};
use wahook_domain::EndpointName;
use wahook_queue::{
    Broker, EndpointQueues, PublishError,
    local::{ReassignedTo, Reassignment},
    topology::work_queue,
};
use wahook_runtime::{Shutdown, clock};

use super::{
    at_broker,
    sources::OpenLog,
    survey::Survey,
    target::{Report, Target, drop_reason},
};

/// Messages of one transaction in a data file: a running process waits for its end.
const MOVED_AT_ONCE: u32 = 500;

/// Transfer of the queued events of a removed endpoint.
pub(super) struct Transfer<'a> {
    pub(super) queues: &'a EndpointQueues,
    pub(super) broker: Broker,
    pub(super) log: Option<OpenLog>,
    pub(super) old: EndpointName,
    pub(super) target: Target,
}

impl Transfer<'_> {
    /// Checks the endpoints and moves all events of the old one.
    pub(super) async fn run(
        mut self,
        survey: &Survey,
        dry_run: bool,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        survey.check_removed(&self.old)?;
        if let Some(new) = self.target.endpoint() {
            survey.check_target(new, &self.old)?;
        }
        let queue = survey.queues.get(&self.old).copied().unwrap_or_default();
        let (old, verb) = (self.old.clone(), self.target.verb());
        if dry_run {
            let events = queue.messages();
            return print(&format!("{events} events of {old} would be {verb}"));
        }
        let bar = progress(queue.messages());
        let mut report = Report::default();
        let is_at_broker = matches!(self.broker, Broker::RabbitMq(_));
        let moved = if !survey.queues.contains_key(&old) {
            Ok(())
        } else if is_at_broker {
            self.at_broker(survey, &mut report, &bar, shutdown).await
        } else {
            self.in_file(survey, &mut report, &bar, shutdown).await
        };
        bar.finish_and_clear();
        print(&report.text(&old, verb, shutdown.is_soft()))?;
        moved.with_context(|| {
            format!("the remaining events of {old} are kept; repeat the command")
        })?;
        if report.failed > 0 {
            bail!("some events of {old} were not {verb} and are kept; repeat the command");
        }
        if is_at_broker {
            print(&format!(
                "queue {} receives no new events and is kept: retries that wait return to it when \
                 they are due; repeat the command until `endpoints list` shows none",
                work_queue(&old)
            ))?;
        }
        Ok(())
    }

    /// Moves messages within the data file. Each transaction moves some completely.
    async fn in_file(
        &self,
        survey: &Survey,
        report: &mut Report,
        bar: &ProgressBar,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let to = match &self.target {
            Target::Endpoint(new) => ReassignedTo::Queue(work_queue(new)),
            Target::DeadLetters => ReassignedTo::DeadLetters {
                endpoint: self.old.clone(),
                reason: drop_reason(&self.old),
                now: clock::now(),
            },
        };
        let mut queues = survey.queues(&self.old).into_iter();
        let mut next = queues.next();
        while let Some(from) = next.clone()
            && !shutdown.is_soft()
        {
            let reassignment = Reassignment {
                from,
                to: to.clone(),
                max: MOVED_AT_ONCE,
            };
            match self.queues.reassign(reassignment).await {
                Ok(0) => next = queues.next(),
                Ok(moved) => {
                    report.moved += moved;
                    bar.inc(moved.into());
                }
                Err(PublishError::Unroutable) => {
                    bail!("the other endpoint is no longer configured")
                }
                Err(_) => bail!("the data file was not changed; the log has the reason"),
            }
        }
        Ok(())
    }

    /// Moves messages at the broker. First the bindings are removed, so that there is an end.
    async fn at_broker(
        &mut self,
        survey: &Survey,
        report: &mut Report,
        bar: &ProgressBar,
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let log = match self.log.take() {
            Some(log) if self.target.endpoint().is_some() => {
                Some(log.await.context("the delivery log is needed")?)
            }
            _ => None,
        };
        for (lanes, patterns) in survey.routes(&self.old) {
            let unbind = self.queues.unbind(&self.old, &patterns, lanes);
            unbind.await.context("removing the bindings")?;
        }
        let run = at_broker::Run {
            broker: self.broker.clone(),
            log,
            old: &self.old,
            target: &self.target,
        };
        for queue in survey.queues(&self.old) {
            run.run(&queue, report, bar, shutdown).await?;
        }
        Ok(())
    }
}

fn print(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

/// Progress bar, shown on a terminal only.
fn progress(length: u32) -> ProgressBar {
    const TEMPLATE: &str = "{bar:30} {pos}/{len} events, {per_sec}, {eta} left";
    let bar = ProgressBar::new(length.into());
    // The template is constant and valid; an invalid one would leave the plain bar.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}
