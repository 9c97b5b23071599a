//! Orders to what delivers: `endpoints pause`, `resume` and `probe`.

use anyhow::Context;
use std::{
    collections::BTreeSet,
    io::{Write, stdout},
};
use wahook_domain::EndpointName;
use wahook_operator_state::{EndpointState, Order, Pause, Request};
use wahook_queue::{Broker, EndpointQueues};
use wahook_runtime::clock;

use crate::operator;

use super::{
    sources::{CONNECTION, OpenOperatorState, Sources},
    survey::Survey,
};

/// Reasons for which an order is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("endpoint {0} is not configured; configured are: {1}")]
    Unknown(EndpointName, String),
    #[error("endpoint {0} is not known: no endpoint is configured; start what delivers first")]
    NoneConfigured(EndpointName),
    #[error("endpoint {0} is paused {1}, so it is not probed: `endpoints resume {0}` first")]
    Paused(EndpointName, Pause),
    #[error(
        "endpoint {0} is paused {1}, so no consumer holds its events: `endpoints resume {0}` first"
    )]
    NothingHeld(EndpointName, Pause),
}

/// Checks an order, and gives it to what delivers.
pub(super) async fn give(
    endpoint: EndpointName,
    request: Request,
    sources: Sources,
) -> anyhow::Result<()> {
    let configured = configured(sources.configured, &sources.broker).await?;
    let store = sources.operator.await.context("the log is needed")?;
    let states = store.endpoints().await?;
    let state = states.into_iter().find(|state| state.endpoint == endpoint);
    check(&endpoint, &request, &configured, state.as_ref())?;
    let order = order(endpoint, request);
    store.order(&order).await?;
    writeln!(stdout(), "{}", outcome(&order, state.as_ref()))?;
    Ok(())
}

/// Returns an order of the user of the command.
pub(super) fn order(endpoint: EndpointName, request: Request) -> Order {
    Order {
        endpoint,
        request,
        by: operator::of_command(),
        at: clock::now(),
    }
}

/// Returns the states that operators have set.
pub(super) async fn states(operator: OpenOperatorState) -> anyhow::Result<Vec<EndpointState>> {
    Ok(operator.await?.endpoints().await?)
}

/// Returns the endpoints of the settings, or those that the data file stores.
pub(super) async fn configured(
    configured: Option<BTreeSet<EndpointName>>,
    broker: &Broker,
) -> anyhow::Result<BTreeSet<EndpointName>> {
    if let Some(configured) = configured {
        return Ok(configured);
    }
    let queues = EndpointQueues::open(broker, CONNECTION).await?;
    let survey = Survey::read(&queues, None, BTreeSet::new()).await;
    queues.close().await;
    let survey = survey?;
    let names = survey.endpoints().into_iter();
    let names = names.filter(|name| survey.is_configured(name));
    Ok(names.cloned().collect())
}

/// Refuses an order that would have no effect. The pause of an endpoint that was removed can
/// be ended.
pub(super) fn check(
    endpoint: &EndpointName,
    request: &Request,
    configured: &BTreeSet<EndpointName>,
    state: Option<&EndpointState>,
) -> Result<(), Refusal> {
    let pause = state.and_then(|state| state.pause.as_ref());
    match (request, pause) {
        (Request::Resume, Some(_)) => Ok(()),
        _ if !configured.contains(endpoint) => Err(unknown(endpoint, configured)),
        (Request::Probe, Some(pause)) => Err(Refusal::Paused(endpoint.clone(), pause.clone())),
        (Request::GiveUp { .. }, Some(pause)) => {
            Err(Refusal::NothingHeld(endpoint.clone(), pause.clone()))
        }
        _ => Ok(()),
    }
}

fn unknown(endpoint: &EndpointName, configured: &BTreeSet<EndpointName>) -> Refusal {
    if configured.is_empty() {
        return Refusal::NoneConfigured(endpoint.clone());
    }
    let names: Vec<_> = configured.iter().map(EndpointName::as_str).collect();
    Refusal::Unknown(endpoint.clone(), names.join(", "))
}

fn outcome(order: &Order, before: Option<&EndpointState>) -> String {
    let endpoint = &order.endpoint;
    let was_paused = before.is_some_and(|state| state.pause.is_some());
    match &order.request {
        Request::Pause { .. } => format!(
            "endpoint {endpoint} is paused: after at most 2 s no attempt starts, and its events \
             wait until `endpoints resume {endpoint}`"
        ),
        Request::Resume if was_paused => {
            format!("endpoint {endpoint} is resumed: its events are delivered after at most 2 s")
        }
        Request::Resume => format!("endpoint {endpoint} was not paused by an operator"),
        Request::Probe => format!(
            "endpoint {endpoint} is probed after at most 2 s by each consumer whose circuit \
             breaker has paused it"
        ),
        Request::GiveUp { event } => format!("event {event} is given up for {endpoint}"),
        Request::ForgetGiveUp { event } => {
            format!("event {event} is no longer given up for {endpoint}")
        }
    }
}

#[cfg(test)]
mod tests {
    use wahook_domain::{EventId, UnixMillis};

    use super::*;

    fn name(text: &str) -> EndpointName {
        EndpointName::parse(text).unwrap()
    }

    fn pause() -> Pause {
        Pause {
            by: "ann".to_owned(),
            since: UnixMillis::new(0),
            reason: None,
        }
    }

    #[test]
    fn order_for_an_unknown_endpoint_is_refused_with_the_known_ones() {
        let configured = [name("crm"), name("archive")].into();
        let requests = [
            Request::Pause { reason: None },
            Request::Resume,
            Request::Probe,
        ];
        for request in &requests {
            assert_eq!(check(&name("crm"), request, &configured, None), Ok(()));
            let refused = check(&name("crn"), request, &configured, None).unwrap_err();
            let expected = "endpoint crn is not configured; configured are: archive, crm";
            assert_eq!(refused.to_string(), expected);
            let refused = check(&name("crm"), request, &BTreeSet::new(), None);
            assert_eq!(refused, Err(Refusal::NoneConfigured(name("crm"))));
        }
    }

    #[test]
    fn paused_endpoint_is_not_probed_and_is_resumed_after_its_removal() {
        let paused = EndpointState {
            pause: Some(pause()),
            ..EndpointState::initial(name("crm"))
        };
        let check = |request, configured| check(&name("crm"), &request, configured, Some(&paused));
        let configured = [name("crm")].into();
        let refused = check(Request::Probe, &configured);
        assert_eq!(refused, Err(Refusal::Paused(name("crm"), pause())));
        let event = EventId::parse("evt-1").unwrap();
        let refused = check(Request::GiveUp { event }, &configured);
        assert_eq!(refused, Err(Refusal::NothingHeld(name("crm"), pause())));
        assert_eq!(check(Request::Resume, &BTreeSet::new()), Ok(()));
    }
}
