//! `endpoints give-up`: makes a dead letter of an event that blocks its key.

use std::io::{Write, stdout};

use anyhow::Context;
use wahook_delivery_log::{LogReader, Surveyed};
use wahook_domain::{EndpointName, EventId};
use wahook_operator_state::Request;
use wahook_runtime::Shutdown;

use super::{
    held::{self, Delivery, GivenUp, HeldDelivery, Reading},
    orders,
    sources::Sources,
};

/// Delivery in the log of the command.
struct Surveying<'a> {
    log: &'a dyn LogReader,
    event: EventId,
    endpoint: EndpointName,
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
    let held = Surveying {
        log: &*log,
        event,
        endpoint: endpoint.clone(),
    };
    let order = |request| orders::order(endpoint.clone(), request);
    let given_up = held::give_up(&held, &*store, false, &order, shutdown.soft()).await?;
    let event = held.event;
    match given_up {
        GivenUp::DeadLetter => writeln!(
            stdout(),
            "event {event} of {endpoint} is a dead letter, and the next event of its key starts; \
             `dead redrive --id {event}` delivers it out of order"
        )?,
        GivenUp::Delivered => writeln!(
            stdout(),
            "event {event} of {endpoint} was delivered meanwhile, so it is not a dead letter"
        )?,
    }
    Ok(())
}

impl HeldDelivery for Surveying<'_> {
    fn event(&self) -> &EventId {
        &self.event
    }

    fn endpoint(&self) -> &EndpointName {
        &self.endpoint
    }

    fn read(&self) -> Reading<'_> {
        Box::pin(async {
            let found = self
                .log
                .survey_of(std::slice::from_ref(&self.event))
                .await?;
            let found = found.iter().find_map(|found| match found {
                Surveyed::Delivered(_, at) => (*at == self.endpoint).then_some(Delivery::Delivered),
                Surveyed::Open(record) => (record.endpoint == self.endpoint)
                    .then(|| Delivery::of(record.status(), record.next_attempt_at())),
                Surveyed::Foreign => None,
            });
            Ok(found.unwrap_or(Delivery::Unknown))
        })
    }
}
