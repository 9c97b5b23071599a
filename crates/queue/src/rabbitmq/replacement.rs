//! Replacement of a subscription on its own channel. A prefetch applies only to
//! subscriptions that begin after it was set, so another prefetch needs another
//! subscription. Messages of the old one can still be settled.

use lapin::{
    Channel, Consumer,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use std::sync::Arc;
use tokio::{sync::watch, task::JoinHandle};
use wahook_domain::AdaptivePrefetch;

use super::{connection, deadline::with_deadline, error::ConnectError};
use crate::held::HeldAccount;

/// Running replacement. It has its own task, since its steps must not be left half
/// done. Dropping it ends the task.
pub(super) struct Replacement {
    task: JoinHandle<Result<Option<Started>, ConnectError>>,
    stop: watch::Sender<bool>,
}

/// New subscription with its prefetch.
pub(super) struct Started {
    pub(super) consumer: Consumer,
    pub(super) prefetch: AdaptivePrefetch,
}

/// Prefetch of the new subscription.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next {
    /// This one, immediately.
    Larger(u16),
    /// As large as fits, once enough of the held messages are settled.
    Fitting,
}

/// Subscription to replace.
pub(super) struct Replaced {
    pub(super) channel: Arc<Channel>,
    pub(super) tag: ShortString,
    pub(super) queue: ShortString,
    pub(super) prefetch: AdaptivePrefetch,
    pub(super) account: HeldAccount,
}

impl Replacement {
    pub(super) fn start(replaced: Replaced, next: Next) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self {
            task: tokio::spawn(replaced.replace(next, stopped)),
            stop,
        }
    }

    /// Waits for the new subscription; `None` after a stop or an error. Dropping the
    /// future does not end the replacement.
    pub(super) async fn done(&mut self) -> Option<Started> {
        let started = (&mut self.task).await.ok()?;
        started
            .inspect_err(|error| tracing::warn!(%error, "subscription could not be replaced"))
            .ok()?
    }

    /// Returns true once [`done`](Self::done) does not wait.
    pub(super) fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends the replacement before its next step.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Replaced {
    async fn replace(
        mut self,
        next: Next,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<Option<Started>, ConnectError> {
        with_deadline(cancel(&self.channel, self.tag.clone())).await??;
        let next = match next {
            Next::Larger(next) => {
                self.prefetch.grown(next);
                next
            }
            Next::Fitting => {
                tokio::select! {
                    () = self.account.until(AdaptivePrefetch::may_resume) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return Ok(None),
                }
                self.prefetch.resumed(self.account.room())
            }
        };
        if *stopped.borrow() {
            return Ok(None);
        }
        let queue = self.queue.clone();
        let consume = consume(&self.channel, queue.clone(), next);
        let consumer = connection::queue_step(queue.as_str(), &self.channel, consume).await?;
        tracing::debug!(%queue, prefetch = next, "prefetch adapted to the size of the messages");
        Ok(Some(Started {
            consumer,
            prefetch: self.prefetch,
        }))
    }
}

/// Begins a subscription on a channel.
pub(super) async fn consume(
    channel: &Channel,
    queue: ShortString,
    prefetch: u16,
) -> lapin::Result<Consumer> {
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await?;
    let (tag, options) = ("".into(), BasicConsumeOptions::default());
    channel
        .basic_consume(queue, tag, options, FieldTable::default())
        .await
}

/// Ends a subscription: the broker sends no more messages.
pub(super) async fn cancel(channel: &Channel, tag: ShortString) -> lapin::Result<()> {
    channel
        .basic_cancel(tag, BasicCancelOptions::default())
        .await
}
