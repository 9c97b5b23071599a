//! Orders of operators.

use wahook_delivery_log::record_key;
use wahook_domain::{EndpointName, EventId, UnixMillis};

use crate::{Action, EndpointState, Pause, PauseReason};

/// Order of an operator for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub endpoint: EndpointName,
    /// Request of the operator.
    pub request: Request,
    /// Operator: a name, or the place of a command.
    pub by: String,
    /// Time of the order.
    pub at: UnixMillis,
}

/// Request of an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Start no attempt until the endpoint is resumed.
    Pause {
        /// Reason, for other operators.
        reason: Option<PauseReason>,
    },
    /// End the pause.
    Resume,
    /// Probe the endpoint at once, if its circuit breaker has paused it.
    Probe,
    /// Make a dead letter of an event that waits for a retry and blocks its key.
    GiveUp { event: EventId },
    /// Remove an order to give up, which is in effect or without an object.
    ForgetGiveUp { event: EventId },
}

impl Request {
    /// Returns the name of the request in records of actions.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Probe => "probe",
            Self::GiveUp { .. } => "give-up",
            Self::ForgetGiveUp { .. } => "forget-give-up",
        }
    }
}

impl Order {
    /// Returns the record of the order; `None` if it only tidies up after another one.
    #[must_use]
    pub fn action(&self) -> Option<Action> {
        let subject = match &self.request {
            Request::Pause { .. } | Request::Resume | Request::Probe => self.endpoint.to_string(),
            Request::GiveUp { event } => record_key(event, &self.endpoint),
            Request::ForgetGiveUp { .. } => return None,
        };
        Some(Action {
            at: self.at,
            who: self.by.clone(),
            action: self.request.name().to_owned(),
            subject,
            count: 1,
        })
    }

    /// Returns the state of the endpoint after the order. A repeated pause keeps its start.
    #[must_use]
    pub fn applied_to(&self, mut state: EndpointState) -> EndpointState {
        match &self.request {
            Request::Pause { reason } => {
                let since = state.pause.map_or(self.at, |pause| pause.since);
                let (by, reason) = (self.by.clone(), reason.clone());
                EndpointState {
                    pause: Some(Pause { by, since, reason }),
                    ..state
                }
            }
            Request::Resume => EndpointState {
                pause: None,
                ..state
            },
            Request::Probe => EndpointState {
                probes: state.probes.saturating_add(1),
                ..state
            },
            Request::GiveUp { event } => {
                state.give_ups.insert(event.clone(), self.by.clone());
                state
            }
            Request::ForgetGiveUp { event } => {
                state.give_ups.remove(event);
                state
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(at: i64, request: Request) -> Order {
        Order {
            endpoint: EndpointName::default(),
            request,
            by: format!("operator {at}"),
            at: UnixMillis::new(at),
        }
    }

    #[test]
    fn repeated_pause_keeps_its_start_and_a_resumption_ends_it() {
        let reason = PauseReason::parse("new version").ok();
        let first = order(1, Request::Pause { reason: None });
        let second = order(
            2,
            Request::Pause {
                reason: reason.clone(),
            },
        );
        let state = EndpointState::initial(EndpointName::default());
        let paused = second.applied_to(first.applied_to(state.clone()));
        let pause = Pause {
            by: "operator 2".to_owned(),
            since: UnixMillis::new(1),
            reason,
        };
        assert_eq!(paused.pause, Some(pause));
        let probed = order(3, Request::Probe).applied_to(paused.clone());
        assert_eq!((probed.pause, probed.probes), (paused.pause.clone(), 1));
        assert_eq!(order(4, Request::Resume).applied_to(paused), state);
    }

    #[test]
    fn record_of_an_order_names_operator_action_and_endpoint() {
        let action = order(5, Request::Resume).action().unwrap();
        let expected = Action {
            at: UnixMillis::new(5),
            who: "operator 5".to_owned(),
            action: "resume".to_owned(),
            subject: "default".to_owned(),
            count: 1,
        };
        assert_eq!(action, expected);
        let event = EventId::parse("evt-1").unwrap();
        let given_up = order(
            6,
            Request::GiveUp {
                event: event.clone(),
            },
        );
        let action = given_up.action().unwrap();
        let shown = (action.action.as_str(), action.subject.as_str());
        assert_eq!(shown, ("give-up", "evt-1/default"));
        assert_eq!(order(7, Request::ForgetGiveUp { event }).action(), None);
    }
}
