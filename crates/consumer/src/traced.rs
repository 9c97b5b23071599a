//! Spans of a delivery, if traces are on.

use wahook_domain::{Decision, Lanes, QueuedEvent};
use wahook_queue::topology;
use wahook_traces::{Processing, Tracer, Webhook};

use crate::deliverer::Deliverer;

impl Deliverer {
    /// Begins the spans of an attempt, and notes it in the event.
    pub(crate) fn begin_spans(&self, tracer: &Tracer, event: &mut QueuedEvent) -> Box<Processing> {
        let to = Webhook {
            endpoint: &self.name,
            queue: &self.queue_of(event),
            url: &self.settings.url,
            shown_url: &self.settings.shown_url,
        };
        Box::new(tracer.attempt(event, to))
    }

    /// Returns the queue of an event: a lane, or the work queue.
    fn queue_of(&self, event: &QueuedEvent) -> String {
        let lane_of = |lanes: Lanes| lanes.count().lane_of(self.lane_key(event).bucket());
        match self.settings.division() {
            Some(lanes @ Lanes::Ordered(count)) => {
                topology::lane_queue(&self.name, count, lane_of(lanes))
            }
            // Retries and redriven events are in the work queue.
            Some(lanes @ Lanes::Shared(count)) if event.is_untried() => {
                topology::shared_queue(&self.name, count, lane_of(lanes))
            }
            Some(Lanes::Shared(_)) | None => topology::work_queue(&self.name),
        }
    }
}

/// Returns what follows an attempt, for its span.
pub(crate) const fn what_follows(decision: Decision, counts: bool) -> &'static str {
    match decision {
        Decision::Delivered => "delivered",
        Decision::RetryAfter(_) | Decision::Exhausted if !counts => "put_back",
        Decision::RetryAfter(_) => "retry",
        Decision::Exhausted => "dead_letter",
    }
}
