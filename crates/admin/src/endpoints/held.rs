//! End of the delivery of an event that blocks its key.

use std::{pin::Pin, time::Duration};

use tokio::time::{Instant, sleep};
use wahook_domain::{EndpointName, EventId, Status, UnixMillis};
use wahook_operator_state::{OperatorState, Order, Request};
use wahook_runtime::clock;

/// Interval of the reads of the log.
const READ_EVERY: Duration = Duration::from_millis(200);
/// Time for the owner of the event, also a new one, to make a dead letter of it.
const LIMIT: Duration = Duration::from_secs(10);
/// Time limit while an attempt may be in flight.
const LIMIT_IN_FLIGHT: Duration = Duration::from_secs(60);

/// State of a delivery in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// No attempt is recorded.
    Unknown,
    Delivered,
    DeadLetter,
    /// The next attempt is due at this time.
    Retrying(UnixMillis),
}

/// Result of a give-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    DeadLetter,
    /// The delivery succeeded before the order was in effect.
    Delivered,
}

/// State of a delivery, while it is read.
pub type Reading<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Delivery>> + Send + 'a>>;

/// Delivery that may hold its key.
pub trait HeldDelivery: Send + Sync {
    fn event(&self) -> &EventId;

    fn endpoint(&self) -> &EndpointName;

    /// Reads the state of the delivery in the log.
    fn read(&self) -> Reading<'_>;
}

/// Reasons for which an event is not given up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    #[error(
        "event {0} is not held for {1}: the log has no attempt of it; check the id, or repeat the \
         give-up after its first attempt"
    )]
    Unknown(EventId, EndpointName),
    #[error("event {0} is not held for {1}: it is delivered")]
    Delivered(EventId, EndpointName),
    #[error(
        "event {0} is not held for {1}: its delivery has failed, and `dead list --endpoint {1}` \
         shows its dead letter"
    )]
    DeadLetter(EventId, EndpointName),
    #[error(
        "event {0} is not held for {1}: no consumer has it as the first event of its key, waiting \
         for a retry in a lane. The order was withdrawn. Check that consumers run and that \
         {1} has an order, or repeat the give-up if an attempt is in flight"
    )]
    NoOwner(EventId, EndpointName),
}

impl Delivery {
    /// Returns the state of a delivery that the log has.
    #[must_use]
    pub fn of(status: Status, next_attempt_at: Option<UnixMillis>) -> Self {
        match (status, next_attempt_at) {
            (Status::Retrying, Some(due)) => Self::Retrying(due),
            (Status::Success, _) => Self::Delivered,
            (Status::Failed | Status::Retrying, _) => Self::DeadLetter,
        }
    }

    const fn has_ended(self) -> bool {
        matches!(self, Self::Delivered | Self::DeadLetter)
    }
}

/// Orders to give the delivery up, and waits until it has ended, or until `stop`. Withdraws the
/// order then, so that none waits for an event that fails much later. `order` adds operator and
/// time to a request.
///
/// If `is_repeated`, an earlier order may be in the store and may have ended the delivery: then
/// the earlier order is withdrawn, and its end is the result.
///
/// # Errors
/// If the event is not held, or the log can't be read or written.
pub async fn give_up(
    held: &dyn HeldDelivery,
    store: &dyn OperatorState,
    is_repeated: bool,
    order: &(dyn Fn(Request) -> Order + Send + Sync),
    stop: impl Future<Output = ()> + Send,
) -> anyhow::Result<GivenUp> {
    let (event, endpoint) = (held.event(), held.endpoint());
    let found = held.read().await?;
    let ended = if is_repeated && found.has_ended() {
        Ok(found)
    } else {
        refuse_ended(found, event, endpoint)?;
        let request = Request::GiveUp {
            event: event.clone(),
        };
        store.order(&order(request)).await?;
        tokio::select! {
            ended = until_ended(held) => ended,
            () = stop => held.read().await,
        }
    };
    // Also after a failure.
    let forget = Request::ForgetGiveUp {
        event: event.clone(),
    };
    let forgotten = store.order(&order(forget)).await;
    let ended = ended?;
    forgotten?;
    match ended {
        Delivery::DeadLetter => Ok(GivenUp::DeadLetter),
        Delivery::Delivered => Ok(GivenUp::Delivered),
        Delivery::Unknown | Delivery::Retrying(_) => {
            Err(NotHeld::NoOwner(event.clone(), endpoint.clone()).into())
        }
    }
}

/// Refuses an event whose state shows that it is not held.
fn refuse_ended(
    delivery: Delivery,
    event: &EventId,
    endpoint: &EndpointName,
) -> Result<(), NotHeld> {
    let (event, endpoint) = (event.clone(), endpoint.clone());
    match delivery {
        Delivery::Retrying(_) => Ok(()),
        Delivery::Unknown => Err(NotHeld::Unknown(event, endpoint)),
        Delivery::Delivered => Err(NotHeld::Delivered(event, endpoint)),
        Delivery::DeadLetter => Err(NotHeld::DeadLetter(event, endpoint)),
    }
}

/// Waits until the delivery has ended, or the order has had the time to come into effect.
async fn until_ended(held: &dyn HeldDelivery) -> anyhow::Result<Delivery> {
    let started = Instant::now();
    loop {
        let delivery = held.read().await?;
        if is_over(delivery, clock::now(), started.elapsed()) {
            return Ok(delivery);
        }
        sleep(READ_EVERY).await;
    }
}

/// Returns true if the order is in effect, or has no object.
fn is_over(delivery: Delivery, now: UnixMillis, waited: Duration) -> bool {
    match delivery {
        Delivery::Delivered | Delivery::DeadLetter => true,
        // The end of an attempt in flight is awaited.
        Delivery::Retrying(due) if due <= now => waited >= LIMIT_IN_FLIGHT,
        Delivery::Retrying(_) | Delivery::Unknown => waited >= LIMIT,
    }
}

#[cfg(test)]
mod tests;
