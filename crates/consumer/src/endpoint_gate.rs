//! Endpoint gate: circuit breaker and pace of one endpoint, on the clock.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use wahook_domain::{Change, Circuit, EndpointName, HealthSignal, Pace, RateLimit};
use wahook_runtime::{CheckHandle, clock};

use crate::{metrics::EndpointMetrics, settings::EndpointSettings};

/// Pause before a new consumer uses a shared rate limit. The other consumers query
/// the number of consumers every second and lower their share in this time.
const NOTICE: Duration = Duration::from_millis(1_500);

/// Circuit breaker and pace of one endpoint. Outlives connections and changes of
/// the endpoint's settings.
pub(crate) struct EndpointGate {
    name: EndpointName,
    /// Origin of the circuit's and the pace's times.
    start: Instant,
    state: Mutex<State>,
    is_paused: watch::Sender<bool>,
    metrics: EndpointMetrics,
    check: CheckHandle,
}

struct State {
    circuit: Option<Circuit>,
    pace: Pace,
    rate_limit: Option<RateLimit>,
    /// Number of consumers that share the limit, this one included.
    consumers: u32,
}

impl EndpointGate {
    /// Creates a gate that is not paused.
    pub(crate) fn new(
        settings: &EndpointSettings,
        metrics: EndpointMetrics,
        check: CheckHandle,
    ) -> Self {
        check.set_ok();
        Self {
            name: settings.name.clone(),
            start: Instant::now(),
            state: Mutex::new(State {
                circuit: settings.circuit.map(Circuit::new),
                pace: Pace::default(),
                rate_limit: settings.rate_limit,
                consumers: 1,
            }),
            is_paused: watch::Sender::new(false),
            metrics,
            check,
        }
    }

    /// Applies the endpoint's new settings; a paused endpoint is probed immediately.
    pub(crate) fn apply_settings(&self, settings: &EndpointSettings) {
        let now = self.now();
        let mut state = self.state();
        state.rate_limit = settings.rate_limit;
        state.circuit = match (state.circuit.take(), settings.circuit) {
            (Some(mut circuit), Some(rule)) => {
                circuit.apply_rule(rule, now);
                Some(circuit)
            }
            (None, rule) => rule.map(Circuit::new),
            (Some(_), None) => None,
        };
        let is_paused = state.circuit.as_ref().is_some_and(Circuit::is_open);
        drop(state);
        self.set_paused(is_paused);
        if !settings.enabled {
            self.check.set_noted("disabled; events wait in the queue");
        } else if !is_paused {
            self.check.set_ok();
        }
    }

    /// True while the endpoint is paused: only probes are sent.
    pub(crate) fn is_paused(&self) -> bool {
        *self.is_paused.borrow()
    }

    /// Updates the circuit with the health signal of an attempt.
    pub(crate) fn record(&self, signal: HealthSignal, error: Option<&str>) {
        let now = self.now();
        let mut state = self.state();
        let change = state.circuit.as_mut().and_then(|c| c.record(now, signal));
        drop(state);
        let (endpoint, error) = (&self.name, error.unwrap_or_default());
        match change {
            None => {}
            Some(Change::Opened) => {
                self.metrics.circuit_opened.inc();
                self.set_paused(true);
                let next_probe_in = self.until_probe();
                tracing::warn!(%endpoint, error, ?next_probe_in, "endpoint paused");
                self.report_paused(error);
            }
            Some(Change::Closed(after)) => {
                self.set_paused(false);
                self.check.set_ok();
                tracing::info!(%endpoint, ?after, "endpoint resumed");
            }
        }
    }

    /// Schedules the next probe after a failed one.
    pub(crate) fn probe_failed(&self, error: Option<&str>) {
        let now = self.now();
        if let Some(circuit) = &mut self.state().circuit {
            circuit.probe_failed(now);
        }
        let error = error.unwrap_or_default();
        let next_probe_in = self.until_probe();
        tracing::info!(endpoint = %self.name, error, ?next_probe_in, "endpoint still paused");
        self.report_paused(error);
    }

    /// Waits until the next probe is due, indefinitely while the circuit is closed.
    pub(crate) async fn probe_due(&self) {
        let probe_at = self.state().circuit.as_ref().and_then(Circuit::probe_at);
        match probe_at {
            Some(moment) => sleep_until(self.start + moment).await,
            None => std::future::pending().await,
        }
    }

    /// Returns the time until the next probe is due.
    pub(crate) fn until_probe(&self) -> Duration {
        let probe_at = self.state().circuit.as_ref().and_then(Circuit::probe_at);
        probe_at.unwrap_or_default().saturating_sub(self.now())
    }

    /// Waits until the endpoint is paused.
    pub(crate) async fn until_paused(&self) {
        self.until(true).await;
    }

    /// Waits until the endpoint is not paused.
    pub(crate) async fn until_resumed(&self) {
        self.until(false).await;
    }

    /// Reserves the next start time; `None` if starts need no spacing.
    pub(crate) fn next_start(&self) -> Option<Instant> {
        let now = self.now();
        let mut state = self.state();
        let limit = state
            .rate_limit
            .map(|limit| limit.interval(state.consumers));
        let ramp = state.circuit.as_ref().and_then(|c| c.ramp(now));
        let interval = limit.max(ramp)?;
        Some(self.start + state.pace.reserve(now, interval))
    }

    /// Marks the endpoint as failed: its queue can't be consumed.
    pub(crate) fn report_failure(&self, error: &str) {
        self.check.set_failed(error);
    }

    /// Marks the endpoint as subscribed. With a rate limit, starts wait for [`NOTICE`].
    pub(crate) fn subscribed(&self) {
        self.check.set_ok();
        let now = self.now();
        let mut state = self.state();
        if state.rate_limit.is_some() {
            state.pace.hold_until(now + NOTICE);
        }
    }

    /// Returns true if the endpoint has a rate limit, which all its consumers share.
    pub(crate) fn is_shared(&self) -> bool {
        self.state().rate_limit.is_some()
    }

    /// Sets the number of consumers that share the limit.
    pub(crate) fn share(&self, consumers: u32) {
        self.state().consumers = consumers.max(1);
    }

    async fn until(&self, paused: bool) {
        // Cannot fail: `self` owns the sender.
        let _ = self
            .is_paused
            .subscribe()
            .wait_for(|now| *now == paused)
            .await;
    }

    fn set_paused(&self, is_paused: bool) {
        self.metrics.circuit_open.set(is_paused.into());
        self.is_paused
            .send_if_modified(|now| std::mem::replace(now, is_paused) != is_paused);
    }

    fn report_paused(&self, error: &str) {
        let probe = clock::now().plus(self.until_probe()).to_iso8601();
        self.check.set_noted(format!(
            "paused, events wait in the queue: {error}; next probe at {probe}"
        ));
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
