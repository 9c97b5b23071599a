use std::sync::Mutex;

use wahook_delivery_log::LogFuture;
use wahook_operator_state::{Action, EndpointState};

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

/// Delivery of which the log has this state.
struct Logged(Delivery, EventId, EndpointName);

impl HeldDelivery for Logged {
    fn event(&self) -> &EventId {
        &self.1
    }

    fn endpoint(&self) -> &EndpointName {
        &self.2
    }

    fn read(&self) -> Reading<'_> {
        Box::pin(async { Ok(self.0) })
    }
}

/// Store that lists the names of the requests.
#[derive(Default)]
struct Store(Mutex<Vec<&'static str>>);

impl OperatorState for Store {
    fn endpoints(&self) -> LogFuture<'_, Vec<EndpointState>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn order<'a>(&'a self, order: &'a Order) -> LogFuture<'a, EndpointState> {
        self.0.lock().unwrap().push(order.request.name());
        Box::pin(async { Ok(EndpointState::initial(order.endpoint.clone())) })
    }

    fn record<'a>(&'a self, _: &'a Action) -> LogFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn actions(&self, _: u32) -> LogFuture<'_, Vec<Action>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

#[tokio::test]
async fn repeated_give_up_withdraws_the_earlier_order_of_an_ended_delivery() {
    let (dead, delivered) = (Delivery::DeadLetter, Delivery::Delivered);
    let ordered = ["give-up", "forget-give-up"];
    for (state, is_repeated, expected, requests) in [
        (dead, true, Some(GivenUp::DeadLetter), &ordered[1..]),
        (delivered, true, Some(GivenUp::Delivered), &ordered[1..]),
        (dead, false, None, &ordered[..0]),
        (Delivery::Unknown, true, None, &ordered[..0]),
        (Delivery::Retrying(NOW), true, None, &ordered[..]),
    ] {
        let event = EventId::parse("evt-1").unwrap();
        let (held, store) = (
            Logged(state, event, EndpointName::default()),
            Store::default(),
        );
        let order = |request| Order {
            endpoint: held.endpoint().clone(),
            request,
            by: "a".to_owned(),
            at: NOW,
        };
        let given_up = give_up(&held, &store, is_repeated, &order, async {}).await;
        assert_eq!(given_up.ok(), expected, "{state:?}");
        assert_eq!(*store.0.lock().unwrap(), requests, "{state:?}");
    }
}
