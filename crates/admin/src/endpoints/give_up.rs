//! `endpoints give-up`: makes a dead letter of an event that blocks its key.

use std::{
    io::{Write, stdout},
    time::Duration,
};

use anyhow::Context;
use tokio::time::{Instant, sleep};
use wahook_delivery_log::{LogReader, Surveyed};
use wahook_domain::{DeliveryRecord, EndpointName, EventId, Status, UnixMillis};
use wahook_operator_state::Request;
use wahook_runtime::{Shutdown, clock};

use super::{orders, sources::Sources};

/// Interval of the reads of the log.
const READ_EVERY: Duration = Duration::from_millis(200);
/// Time for the owner of the event, also a new one, to make a dead letter of it.
const LIMIT: Duration = Duration::from_secs(10);
/// Time limit while an attempt may be in flight.
const LIMIT_IN_FLIGHT: Duration = Duration::from_secs(60);

/// State of a delivery in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivery {
    /// No attempt is recorded.
    Unknown,
    Delivered,
    DeadLetter,
    /// The next attempt is due at this time.
    Retrying(UnixMillis),
}

/// Reasons for which an event is not given up.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum NotHeld {
    #[error(
        "event {0} is not held for {1}: the log has no attempt of it; check the id, or repeat the \
         command after its first attempt"
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
         {1} has an order, or repeat the command if an attempt is in flight"
    )]
    NoOwner(EventId, EndpointName),
}

/// Gives the order, and waits until it is in effect. Withdraws it otherwise.
pub(super) async fn give_up(
    endpoint: EndpointName,
    event: EventId,
    sources: Sources,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let configured = orders::configured(sources.configured, &sources.broker).await?;
    let log = sources.records.await.context("the log is needed")?;
    let store = sources.operator.await.context("the log is needed")?;
    let states = store.endpoints().await?;
    let state = states.iter().find(|state| state.endpoint == endpoint);
    let request = Request::GiveUp {
        event: event.clone(),
    };
    orders::check(&endpoint, &request, &configured, state)?;
    refuse_ended(read(&*log, &event, &endpoint).await?, &event, &endpoint)?;
    store
        .order(&orders::order(endpoint.clone(), request))
        .await?;
    let ended = tokio::select! {
        ended = until_ended(&*log, &event, &endpoint) => ended,
        () = shutdown.soft() => read(&*log, &event, &endpoint).await,
    };
    // Also after a failure, so that no order waits for an event that fails much later.
    let forget = Request::ForgetGiveUp {
        event: event.clone(),
    };
    let forgotten = store.order(&orders::order(endpoint.clone(), forget)).await;
    let ended = ended?;
    forgotten?;
    match ended {
        Delivery::DeadLetter => writeln!(
            stdout(),
            "event {event} of {endpoint} is a dead letter, and the next event of its key starts; \
             `dead redrive --id {event}` delivers it out of order"
        )?,
        Delivery::Delivered => writeln!(
            stdout(),
            "event {event} of {endpoint} was delivered meanwhile, so it is not a dead letter"
        )?,
        Delivery::Unknown | Delivery::Retrying(_) => {
            return Err(NotHeld::NoOwner(event, endpoint).into());
        }
    }
    Ok(())
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
async fn until_ended(
    log: &dyn LogReader,
    event: &EventId,
    endpoint: &EndpointName,
) -> anyhow::Result<Delivery> {
    let started = Instant::now();
    loop {
        let delivery = read(log, event, endpoint).await?;
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

async fn read(
    log: &dyn LogReader,
    event: &EventId,
    endpoint: &EndpointName,
) -> anyhow::Result<Delivery> {
    let found = log.survey_of(std::slice::from_ref(event)).await?;
    let found = found.iter().find_map(|found| match found {
        Surveyed::Delivered(_, at) => (at == endpoint).then_some(Delivery::Delivered),
        Surveyed::Open(record) => (record.endpoint == *endpoint).then(|| open(record)),
        Surveyed::Foreign => None,
    });
    Ok(found.unwrap_or(Delivery::Unknown))
}

fn open(record: &DeliveryRecord) -> Delivery {
    match (record.status(), record.next_attempt_at()) {
        (Status::Retrying, Some(due)) => Delivery::Retrying(due),
        (Status::Success, _) => Delivery::Delivered,
        (Status::Failed | Status::Retrying, _) => Delivery::DeadLetter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis::new(100_000);

    #[test]
    fn only_an_event_that_waits_for_a_retry_is_given_up() {
        let refused = |delivery| {
            let event = EventId::parse("evt-1").unwrap();
            let refused = refuse_ended(delivery, &event, &EndpointName::default());
            refused.map_err(|error| error.to_string())
        };
        assert_eq!(refused(Delivery::Retrying(NOW)), Ok(()));
        for (delivery, expected) in [
            (Delivery::Unknown, "the log has no attempt of it"),
            (Delivery::Delivered, "it is delivered"),
            (Delivery::DeadLetter, "shows its dead letter"),
        ] {
            let refused = refused(delivery).unwrap_err();
            assert!(refused.starts_with("event evt-1 is not held for default: "));
            assert!(refused.contains(expected), "{refused}");
        }
    }

    #[test]
    fn end_of_an_attempt_in_flight_is_awaited_longer() {
        let (future, past) = (NOW.plus(LIMIT), NOW);
        for (delivery, waited, expected) in [
            (Delivery::DeadLetter, Duration::ZERO, true),
            (Delivery::Delivered, Duration::ZERO, true),
            (Delivery::Retrying(future), Duration::ZERO, false),
            (Delivery::Retrying(future), LIMIT, true),
            (Delivery::Retrying(past), LIMIT, false),
            (Delivery::Retrying(past), LIMIT_IN_FLIGHT, true),
        ] {
            let over = is_over(delivery, NOW, waited);
            assert_eq!(over, expected, "{delivery:?} after {waited:?}");
        }
    }
}
