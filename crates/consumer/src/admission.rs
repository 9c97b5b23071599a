//! Admission: answers whether the next request to an endpoint may start, on the clock.

mod check;
mod circuit;
mod circuit_note;
mod operator;
mod pauses;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};
use wahook_domain::{Change, EndpointName, EventId, HealthSignal, Recorded, Start};
use wahook_runtime::CheckHandle;

use crate::{metrics::EndpointMetrics, settings::EndpointSettings};
use check::EndpointCheck;
use circuit_note::CircuitNote;
use pauses::PauseState;
use state::State;

/// Pause before a new consumer uses a shared rate limit. The other consumers query
/// the number of consumers every second and lower their share in this time.
const NOTICE: Duration = Duration::from_millis(1_500);

/// Permits, circuit breaker, throttle, rate limit and prefetch of one endpoint. Outlives
/// connections and changes of the endpoint's settings.
pub(crate) struct Admission {
    name: EndpointName,
    /// Origin of the times in `state`.
    start: Instant,
    state: Mutex<State>,
    pauses: PauseState,
    circuit_note: CircuitNote,
    /// Events that operators have given up, each with its operator.
    give_ups: watch::Sender<BTreeMap<EventId, String>>,
    /// Held by the next probe.
    probing: Arc<AsyncMutex<()>>,
    /// Held by the request that waits for its reserved start.
    starting: AsyncMutex<()>,
    metrics: EndpointMetrics,
    check: EndpointCheck,
}

/// Right to make the next probe. There is one at a time.
pub(crate) struct ProbeTurn {
    _guard: OwnedMutexGuard<()>,
}

/// Start of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Started {
    /// At a time that spaces it from others.
    Paced,
    /// At once.
    Unpaced,
}

impl Admission {
    /// Creates the admission of an endpoint that is not paused.
    pub(crate) fn new(
        settings: &EndpointSettings,
        metrics: EndpointMetrics,
        check: CheckHandle,
    ) -> Self {
        Self {
            name: settings.name.clone(),
            start: Instant::now(),
            state: Mutex::new(State::new(settings)),
            pauses: PauseState::default(),
            circuit_note: CircuitNote::default(),
            give_ups: watch::Sender::default(),
            probing: Arc::default(),
            starting: AsyncMutex::default(),
            metrics,
            check: EndpointCheck::new(check),
        }
    }

    /// Applies the endpoint's new settings; a paused endpoint is probed immediately.
    pub(crate) fn apply_settings(&self, settings: &EndpointSettings) {
        let now = self.now();
        let mut state = self.state();
        state.apply(settings, now);
        let is_paused = state.rules.is_paused();
        // Under the lock, so that rules and pauses always agree.
        self.set_paused(is_paused);
        drop(state);
        if !settings.enabled {
            self.check.set_noted("disabled; events wait in the queue");
        } else if !is_paused {
            self.check.set_ok();
        }
    }

    /// True while the endpoint is paused, by its circuit breaker or an operator: no delivery
    /// starts.
    pub(crate) fn is_paused(&self) -> bool {
        self.pauses.now().is_any()
    }

    /// Records the health signal of an attempt that took this long. Returns true if the
    /// attempt counts against its event.
    pub(crate) fn record(&self, signal: HealthSignal, took: Duration, error: Option<&str>) -> bool {
        let now = self.now();
        let mut state = self.state();
        let recorded = state.rules.record(now, now.saturating_sub(took), signal);
        if recorded.change.is_some() {
            // Under the lock, so that rules and pauses always agree.
            self.set_paused(state.rules.is_paused());
        }
        drop(state);
        let Recorded {
            change,
            slowed_to,
            counts,
        } = recorded;
        let (endpoint, error) = (&self.name, error.unwrap_or_default());
        if let Some(per_second) = slowed_to {
            tracing::info!(%endpoint, error, per_second, "endpoint slowed");
        }
        match change {
            None => {}
            Some(Change::Opened) => {
                self.metrics.circuit_opened.inc();
                let next_probe_in = self.until_next();
                tracing::warn!(%endpoint, error, ?next_probe_in, "endpoint paused");
                self.report_paused(error);
            }
            Some(Change::Closed(after)) => {
                self.check.set_ok();
                tracing::info!(%endpoint, ?after, "endpoint resumed");
            }
        }
        counts
    }

    /// Schedules the next probe after a failed one, unless the endpoint was resumed.
    pub(crate) fn probe_failed(&self, signal: HealthSignal, error: Option<&str>) {
        if !self.pauses.now().by_circuit {
            return;
        }
        let now = self.now();
        self.state().rules.probe_failed(now, signal);
        let error = error.unwrap_or_default();
        let next_probe_in = self.until_next();
        tracing::info!(endpoint = %self.name, error, ?next_probe_in, "endpoint still paused");
        self.report_paused(error);
    }

    /// Waits for the turn to probe and until a probe is due, indefinitely while the
    /// circuit is closed.
    pub(crate) async fn probe_turn(&self) -> ProbeTurn {
        let guard = Arc::clone(&self.probing).lock_owned().await;
        let mut changes = self.pauses.changes();
        loop {
            let probe_at = self.state().rules.probe_at();
            let due = async {
                match probe_at {
                    Some(moment) => sleep_until(self.start + moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return ProbeTurn { _guard: guard },
                _ = changes.changed() => {}
            }
        }
    }

    /// Returns the time until the next probe is due, or until the wait that the endpoint
    /// requested ends.
    pub(crate) fn until_next(&self) -> Duration {
        let state = self.state();
        let next = state.rules.probe_at().unwrap_or(state.rules.held_until());
        next.saturating_sub(self.now())
    }

    /// Waits until the endpoint is paused.
    pub(crate) async fn until_paused(&self) {
        self.pauses.until(|pauses| pauses.is_any()).await;
    }

    /// Waits until no probes may be sent: the circuit is closed, or an operator has paused
    /// the endpoint.
    pub(crate) async fn until_not_probed(&self) {
        self.pauses.until(|pauses| !pauses.is_probed()).await;
    }

    /// Returns the maximum number of unacked messages of all queues, by the rate at which they are
    /// processed.
    pub(crate) fn prefetch(&self) -> u16 {
        self.state().prefetch()
    }

    /// Waits for a permit; the request holds it. `None` never occurs: no semaphore is closed.
    pub(crate) async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permits = Arc::clone(&self.state().permits);
        permits.acquire_owned().await.ok()
    }

    /// Waits until the next request may start. Returns `None` if the endpoint is paused
    /// before.
    pub(crate) async fn start(&self) -> Option<Started> {
        // One start is reserved at a time. Requests that wait and are given up together, as by a
        // pause, would otherwise leave all their starts unused.
        let is_paced = self.state().rules.is_paced();
        let _turn = if is_paced {
            tokio::select! {
                turn = self.starting.lock() => Some(turn),
                () = self.until_paused() => return None,
            }
        } else {
            None
        };
        loop {
            let next = self.state().rules.next_start(self.now());
            match next {
                Start::Now => return Some(Started::Unpaced),
                Start::At(moment) => tokio::select! {
                    () = sleep_until(self.start + moment) => {}
                    () = self.until_paused() => return None,
                },
                Start::Paused { .. } => return None,
            }
            // The endpoint may have requested a longer wait meanwhile.
            if self.state().rules.held_until() <= self.now() {
                return Some(Started::Paced);
            }
        }
    }

    /// Marks the endpoint as failed: its queue can't be consumed.
    pub(crate) fn report_failure(&self, error: &str) {
        self.check.set_failed(error);
    }

    /// Marks the endpoint as subscribed. With a rate limit, starts wait for [`NOTICE`].
    pub(crate) fn subscribed(&self) {
        self.check.set_ok();
        let now = self.now();
        self.state().rules.hold_shared_until(now + NOTICE);
    }

    /// Returns true if the endpoint has a rate limit, which all its consumers share.
    pub(crate) fn is_shared(&self) -> bool {
        self.state().rules.is_shared()
    }

    /// Sets the number of consumers that share the limit.
    pub(crate) fn share(&self, consumers: u32) {
        self.state().rules.share(consumers);
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
