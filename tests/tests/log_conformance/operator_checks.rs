//! Checks of the state that operators set.

use futures_util::future::join_all;
use wahook_domain::{EndpointName, EventId, UnixMillis};
use wahook_operator_state::{Action, EndpointState, Order, Pause, PauseReason, Request};

use crate::logs::Readable;

fn name(text: &str) -> EndpointName {
    EndpointName::parse(text).unwrap()
}

fn order(endpoint: &str, at: i64, request: Request) -> Order {
    Order {
        endpoint: name(endpoint),
        request,
        by: format!("operator {at}"),
        at: UnixMillis::new(at),
    }
}

fn paused(reason: Option<&str>) -> Request {
    Request::Pause {
        reason: reason.map(|text| PauseReason::parse(text).unwrap()),
    }
}

pub(crate) async fn orders_change_the_state_of_their_endpoint(log: &impl Readable) {
    let store = log.operator_state();
    assert_eq!(store.endpoints().await.unwrap(), []);
    let text = "$new 'version' \"2\"";
    let orders = [
        order("crm", 1_000, paused(None)),
        order("crm", 2_000, paused(Some(text))),
        order("bot", 3_000, Request::Probe),
        order("crm", 4_000, Request::Probe),
    ];
    let mut expected = [
        EndpointState::initial(name("bot")),
        EndpointState::initial(name("crm")),
    ];
    for order in &orders {
        let state = expected.iter_mut().find(|s| s.endpoint == order.endpoint);
        let state = state.unwrap();
        *state = order.applied_to(state.clone());
        assert_eq!(store.order(order).await.unwrap(), *state, "{order:?}");
    }
    let pause = Pause {
        by: "operator 2000".to_owned(),
        since: UnixMillis::new(1_000),
        reason: PauseReason::parse(text).ok(),
    };
    assert_eq!(expected[1].pause, Some(pause));
    let mut stored = store.endpoints().await.unwrap();
    stored.sort_by_key(|state| state.endpoint.clone());
    assert_eq!(stored, expected);
    let resumed = store.order(&order("crm", 5_000, Request::Resume)).await;
    assert_eq!(resumed.unwrap().pause, None);
    let again = store.order(&order("crm", 6_000, paused(None))).await;
    let since = again.unwrap().pause.unwrap().since;
    assert_eq!(since, UnixMillis::new(6_000));
}

pub(crate) async fn orders_at_the_same_time_are_all_in_effect(log: &impl Readable) {
    let store = log.operator_state();
    let orders: Vec<_> = (0..20).map(|at| order("crm", at, Request::Probe)).collect();
    for state in join_all(orders.iter().map(|order| store.order(order))).await {
        state.unwrap();
    }
    let states = store.endpoints().await.unwrap();
    assert_eq!(states.iter().map(|s| s.probes).collect::<Vec<_>>(), [20]);
    assert_eq!(store.actions(100).await.unwrap().len(), 20);
}

pub(crate) async fn orders_and_other_actions_are_recorded(log: &impl Readable) {
    let store = log.operator_state();
    assert_eq!(store.actions(10).await.unwrap(), []);
    let pause = order("crm", 1_000, paused(None));
    store.order(&pause).await.unwrap();
    let redrive = Action {
        at: UnixMillis::new(2_000),
        who: "ann".to_owned(),
        action: "redrive".to_owned(),
        subject: "endpoint=crm".to_owned(),
        count: 500,
    };
    store.record(&redrive).await.unwrap();
    let resume = order("crm", 3_000, Request::Resume);
    store.order(&resume).await.unwrap();
    let recorded = |order: &Order| order.action().unwrap();
    let expected = [recorded(&resume), redrive, recorded(&pause)];
    assert_eq!(store.actions(10).await.unwrap(), expected);
    assert_eq!(store.actions(2).await.unwrap(), expected[..2]);
}

pub(crate) async fn events_that_are_given_up_stay_until_they_are_forgotten(log: &impl Readable) {
    let store = log.operator_state();
    let event = |text: &str| EventId::parse(text).unwrap();
    let give_up = |id: &str| Request::GiveUp { event: event(id) };
    let orders = [
        order("crm", 1_000, give_up("evt-1")),
        order("crm", 2_000, paused(None)),
        order("crm", 3_000, give_up("evt-2")),
        order("bot", 4_000, give_up("evt-1")),
        // Given again, by another operator.
        order("crm", 5_000, give_up("evt-1")),
        order("crm", 6_000, Request::Resume),
    ];
    for order in &orders {
        store.order(order).await.unwrap();
    }
    let of = |name: &'static str| async move {
        let states = store.endpoints().await.unwrap();
        let state = states.into_iter().find(|s| s.endpoint.as_str() == name);
        state.unwrap().give_ups
    };
    let by = |operator: i64| format!("operator {operator}");
    let both = [(event("evt-1"), by(5_000)), (event("evt-2"), by(3_000))];
    assert_eq!(of("crm").await, both.clone().into());
    for again in [7_000, 8_000] {
        let forget = Request::ForgetGiveUp {
            event: event("evt-1"),
        };
        let state = store.order(&order("crm", again, forget)).await.unwrap();
        assert_eq!(state.give_ups, both[1..].iter().cloned().collect());
    }
    assert_eq!(of("bot").await, [(event("evt-1"), by(4_000))].into());
    // What only tidies up is not recorded.
    let actions = store.actions(10).await.unwrap();
    let expected: Vec<_> = orders.iter().rev().filter_map(Order::action).collect();
    assert_eq!(actions, expected);
}
