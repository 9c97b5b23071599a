//! Subscription to a lane. It ends only by closing its channel, which returns all
//! unacked messages in their order. A `basic.cancel`, which lapin writes when a
//! `Consumer` is dropped, or a nack would hand newer messages to the successor first.

use std::{mem, sync::Arc};

use lapin::Connection;
use tokio::{runtime::Handle, sync::watch, task::JoinHandle, time::timeout};

use super::{
    acks::{BatchedLease, Closing, WRITE_LIMIT},
    connection,
    deadline::with_deadline,
    delivered::Delivered,
    error::ConnectError,
    subscription::{RemoteSubscription, Role, SubscriptionEnded},
};
use crate::topology::LANE_PREFETCH;

/// Running subscription to a lane. Dropping it gives the lane up in the background.
pub(crate) struct RemoteLane(Option<OpenLane>);

/// Subscription whose channel is not closed yet.
struct OpenLane {
    /// `None` only while it is dropped.
    subscription: Option<RemoteSubscription>,
    /// True once the lane is given up; the ack writer watches it.
    giving_up: watch::Sender<bool>,
}

impl RemoteLane {
    /// Subscribes to a lane. Acks are written until `closing`.
    pub(super) async fn begin(
        connection: &Connection,
        queue: &str,
        closing: Closing,
    ) -> Result<Self, ConnectError> {
        let channel = Arc::new(connection::channel(connection).await?);
        let giving_up = watch::Sender::new(false);
        let closing = closing.or_lane(giving_up.subscribe());
        let queue = queue.to_owned();
        // In a task of its own: a caller that stops waiting must not drop a consumer.
        let subscribing = tokio::spawn(async move {
            let role = Role::Lane { is_active: false };
            let subscription =
                RemoteSubscription::begin(channel, &queue, LANE_PREFETCH, role, closing).await?;
            Ok(Self(Some(OpenLane {
                subscription: Some(subscription),
                giving_up,
            })))
        });
        subscribing
            .await
            .unwrap_or_else(|_| Err(ConnectError::Interrupted))
    }

    /// Waits for the next message. Dropping the future loses none. An error gives the
    /// lane up.
    pub(crate) async fn next(&mut self) -> Result<Delivered<BatchedLease>, SubscriptionEnded> {
        let open = self.0.as_mut().and_then(|open| open.subscription.as_mut());
        let next = open.ok_or(SubscriptionEnded::Cancelled)?.next().await;
        if next.is_err() {
            // The broker may have cancelled the consumer alone: its messages return
            // only with the channel.
            self.give_up().await;
        }
        next
    }

    /// Writes pending acks, then closes the channel.
    pub(crate) async fn close(mut self) {
        self.give_up().await;
    }

    /// Gives the lane up, to its end even if the caller stops waiting.
    async fn give_up(&mut self) {
        if let Some(giving_up) = self.start_giving_up() {
            // A task ends early only with its runtime.
            let _ = giving_up.await;
        }
    }

    fn start_giving_up(&mut self) -> Option<JoinHandle<()>> {
        let open = self.0.take()?;
        let runtime = Handle::try_current().ok()?;
        Some(runtime.spawn(open.give_up()))
    }
}

impl Drop for RemoteLane {
    fn drop(&mut self) {
        self.start_giving_up();
    }
}

impl OpenLane {
    async fn give_up(self) {
        self.giving_up.send_replace(true);
        let Some(subscription) = &self.subscription else {
            return;
        };
        // No ack can be written on a closed channel.
        if subscription.is_open() {
            let _ = timeout(WRITE_LIMIT, self.giving_up.closed()).await;
        }
        // Fails if the connection is closed, which returns the messages too.
        let _ = with_deadline(subscription.close_channel()).await;
    }
}

impl Drop for OpenLane {
    fn drop(&mut self) {
        if let Some(subscription) = self.subscription.take()
            && subscription.is_open()
        {
            // The channel could not be closed. The consumer is not dropped, because
            // that cancels it; the end of the connection returns its messages.
            mem::forget(subscription);
        }
    }
}
