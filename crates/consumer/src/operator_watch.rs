//! Operator watch: reads once a second what operators have set, and applies it to the
//! endpoints. No delivery waits for it; while the database is unavailable, the state that was
//! last read stays in effect.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use wahook_delivery_log::LogUnavailable;
use wahook_domain::EndpointName;
use wahook_operator_state::{EndpointState, SharedOperatorState};

use crate::{
    endpoint_set::EndpointSet,
    known_states::{KnownStates, States},
};

/// Interval of the reads. With the time of a read it must stay below 2 s, in which an order
/// comes into effect.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Time limit of a read, also of the one before the first delivery.
const READ_LIMIT: Duration = Duration::from_secs(2);

/// Reader of the operators' state.
pub(crate) struct OperatorWatch {
    store: SharedOperatorState,
    known: KnownStates,
    endpoints: watch::Receiver<EndpointSet>,
    /// False after a failed read, so that an outage is logged once.
    is_up: bool,
}

impl OperatorWatch {
    pub(crate) fn new(
        store: SharedOperatorState,
        known: KnownStates,
        endpoints: watch::Receiver<EndpointSet>,
    ) -> Self {
        Self {
            store,
            known,
            endpoints,
            is_up: true,
        }
    }

    /// Reads the state every second. Never returns.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(READ_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.read().await;
        }
    }

    /// Reads the state once and applies it.
    pub(crate) async fn read(&mut self) {
        let read = timeout(READ_LIMIT, self.store.endpoints()).await;
        match read.unwrap_or(Err(LogUnavailable::NoAnswer(READ_LIMIT))) {
            Ok(states) => {
                if !std::mem::replace(&mut self.is_up, true) {
                    tracing::info!("pauses of operators are read again");
                }
                self.apply(states);
            }
            Err(error) => {
                if std::mem::replace(&mut self.is_up, false) {
                    tracing::warn!(%error, "pauses of operators can't be read, the last known ones stay in effect");
                }
            }
        }
    }

    fn apply(&self, states: Vec<EndpointState>) {
        let by_name = states
            .into_iter()
            .map(|state| (state.endpoint.clone(), state));
        let states: States = by_name.collect();
        let before = self.known.replace(states.clone());
        for member in &self.endpoints.borrow().members {
            let (name, admission) = (&member.endpoint.name, &member.endpoint.admission);
            let state = states.get(name);
            admission.set_operator_pause(state.and_then(|state| state.pause.as_ref()));
            match state {
                Some(state) => admission.set_give_ups(&state.give_ups),
                None => admission.set_give_ups(&BTreeMap::new()),
            }
            if requests_probe(before.as_ref(), name, state) {
                admission.probe_at_once();
            }
        }
    }
}

/// Returns true if a probe was requested since the last read. Requests before the first read
/// were for another process.
fn requests_probe(
    before: Option<&States>,
    endpoint: &EndpointName,
    state: Option<&EndpointState>,
) -> bool {
    let (Some(before), Some(state)) = (before, state) else {
        return false;
    };
    let probes = before.get(endpoint).map_or(0, |state| state.probes);
    state.probes > probes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probe_is_requested_by_an_increase_after_the_first_read() {
        let endpoint = EndpointName::default();
        let state = |probes| EndpointState {
            probes,
            ..EndpointState::initial(EndpointName::default())
        };
        let none = States::new();
        let one = States::from([(endpoint.clone(), state(1))]);
        for (before, now, expected) in [
            (None, Some(state(3)), false),
            (Some(&none), None, false),
            (Some(&none), Some(state(1)), true),
            (Some(&one), Some(state(1)), false),
            (Some(&one), Some(state(2)), true),
        ] {
            let requested = requests_probe(before, &endpoint, now.as_ref());
            assert_eq!(requested, expected, "{before:?} {now:?}");
        }
    }
}
