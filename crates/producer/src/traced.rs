//! Acceptance and publish of an event within their spans, if traces are on.

use wahook_domain::{ContentHash, Fault, QueuedEvent};
use wahook_queue::Outgoing;
use wahook_traces::{Publishing, Target, Tracer, tracer};

use crate::{
    event_service::{Accepted, EventService},
    outlet::NotAccepted,
    problem::Problem,
    router::RouteOutcome,
};

impl EventService {
    /// Publishes an event, unless it was published recently, and counts it.
    pub(crate) async fn publish_accepted(
        &self,
        queued: QueuedEvent,
        content: Option<ContentHash>,
        warnings: Vec<Fault>,
    ) -> Result<Accepted, Problem> {
        match tracer() {
            None => self.publish_counted(queued, content, warnings).await,
            // In a box, so that the path without traces does not grow.
            Some(tracer) => Box::pin(self.publish_within(tracer, queued, content, warnings)).await,
        }
    }

    async fn publish_within(
        &self,
        tracer: &Tracer,
        mut queued: QueuedEvent,
        content: Option<ContentHash>,
        warnings: Vec<Fault>,
    ) -> Result<Accepted, Problem> {
        let span = tracer.accept(&mut queued);
        let published = self.publish_counted(queued, content, warnings).await;
        let status = match &published {
            Ok(accepted) => accepted.status(),
            Err(problem) => problem.status(),
        };
        span.answered(status.as_u16());
        published
    }

    /// Hands an event to the broker, or to the spool.
    pub(crate) async fn hand_over(&self, event: &QueuedEvent) -> Result<RouteOutcome, NotAccepted> {
        match tracer() {
            None => self.outlet.publish(event).await,
            Some(tracer) => Box::pin(self.hand_over_within(tracer, event)).await,
        }
    }

    async fn hand_over_within(
        &self,
        tracer: &Tracer,
        event: &QueuedEvent,
    ) -> Result<RouteOutcome, NotAccepted> {
        let span = begin_publish(tracer, event);
        let published = self.outlet.publish(span.event()).await;
        span.ended(match &published {
            Ok(outcome) => Ok(outcome.word()),
            Err(error) => Err(error.to_string()),
        });
        published
    }
}

fn begin_publish(tracer: &Tracer, event: &QueuedEvent) -> Publishing {
    let message = Outgoing::event(event);
    let (exchange, routing_key) = message.address();
    let to = Target {
        exchange,
        routing_key,
    };
    tracer.publish(event, to)
}
