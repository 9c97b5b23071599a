//! Whether and how fast deliveries to an endpoint may go: its circuit and its
//! pace, on the clock.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use wahook_domain::{Change, Circuit, EndpointName, HealthSignal, Pace, RateLimit};
use wahook_runtime::{CheckHandle, clock, metrics::EndpointMetrics};

use crate::settings::EndpointSettings;

/// How long a consumer that begins lets nothing start: the others, who ask for
/// the number of consumers each second, must have noticed it by then.
const NOTICE: Duration = Duration::from_millis(1_500);

/// One endpoint's circuit and pace. It outlives connections and changes of the
/// endpoint's settings.
pub(crate) struct EndpointGate {
    name: EndpointName,
    /// The fixed moment that times are told from.
    start: Instant,
    state: Mutex<State>,
    is_open: watch::Sender<bool>,
    metrics: EndpointMetrics,
    check: CheckHandle,
}

struct State {
    circuit: Option<Circuit>,
    pace: Pace,
    rate_limit: Option<RateLimit>,
    /// Who share the limit, this one included.
    consumers: u32,
}

impl EndpointGate {
    /// A closed one.
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
            is_open: watch::Sender::new(false),
            metrics,
            check,
        }
    }

    /// Takes the endpoint's new settings; one that is paused is probed at once.
    pub(crate) fn follow(&self, settings: &EndpointSettings) {
        let now = self.now();
        let mut state = self.state();
        state.rate_limit = settings.rate_limit;
        state.circuit = match (state.circuit.take(), settings.circuit) {
            (Some(mut circuit), Some(rule)) => {
                circuit.follow(rule, now);
                Some(circuit)
            }
            (None, rule) => rule.map(Circuit::new),
            (Some(_), None) => None,
        };
        let is_open = state.circuit.as_ref().is_some_and(Circuit::is_open);
        drop(state);
        self.show(is_open);
        if !settings.enabled {
            self.check
                .set_noted("not enabled: its events wait in its queue");
        } else if !is_open {
            self.check.set_ok();
        }
    }

    /// The endpoint is taken to be down: nothing but probes goes out.
    pub(crate) fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }

    /// Takes note of what a delivery says of the endpoint.
    pub(crate) fn note(&self, sign: HealthSignal, error: Option<&str>) {
        let now = self.now();
        let mut state = self.state();
        let change = state.circuit.as_mut().and_then(|c| c.note(now, sign));
        drop(state);
        let (endpoint, error) = (&self.name, error.unwrap_or_default());
        match change {
            None => {}
            Some(Change::Opened) => {
                self.metrics.circuit_opened.inc();
                self.show(true);
                let next_probe_in = self.until_probe();
                tracing::warn!(%endpoint, error, ?next_probe_in, "endpoint paused");
                self.tell(error);
            }
            Some(Change::Closed(after)) => {
                self.show(false);
                self.check.set_ok();
                tracing::info!(%endpoint, ?after, "endpoint resumed");
            }
        }
    }

    /// A probe did not succeed.
    pub(crate) fn probe_failed(&self, error: Option<&str>) {
        let now = self.now();
        if let Some(circuit) = &mut self.state().circuit {
            circuit.probe_failed(now);
        }
        let error = error.unwrap_or_default();
        let next_probe_in = self.until_probe();
        tracing::info!(endpoint = %self.name, error, ?next_probe_in, "endpoint still paused");
        self.tell(error);
    }

    /// Returns when the next probe is due; never while the circuit is closed.
    pub(crate) async fn probe_due(&self) {
        let probe_at = self.state().circuit.as_ref().and_then(Circuit::probe_at);
        match probe_at {
            Some(moment) => sleep_until(self.start + moment).await,
            None => std::future::pending().await,
        }
    }

    /// How long until the next probe is due.
    pub(crate) fn until_probe(&self) -> Duration {
        let probe_at = self.state().circuit.as_ref().and_then(Circuit::probe_at);
        probe_at.unwrap_or_default().saturating_sub(self.now())
    }

    /// Returns once the circuit is open, or closed.
    pub(crate) async fn is(&self, open: bool) {
        // The sender lives in self, so this can't fail.
        let _ = self.is_open.subscribe().wait_for(|now| *now == open).await;
    }

    /// Reserves the next start, where starts must be spaced.
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

    /// The endpoint's events can't be had from the broker.
    pub(crate) fn show_trouble(&self, error: &str) {
        self.check.set_failed(error);
    }

    /// A subscription begins: the others must notice it first.
    pub(crate) fn begin(&self) {
        self.check.set_ok();
        let now = self.now();
        let mut state = self.state();
        if state.rate_limit.is_some() {
            state.pace.hold_until(now + NOTICE);
        }
    }

    /// Whether the number of consumers matters.
    pub(crate) fn is_shared(&self) -> bool {
        self.state().rate_limit.is_some()
    }

    /// So many consumers share the limit.
    pub(crate) fn share(&self, consumers: u32) {
        self.state().consumers = consumers.max(1);
    }

    fn show(&self, is_open: bool) {
        self.metrics.circuit_open.set(is_open.into());
        self.is_open
            .send_if_modified(|now| std::mem::replace(now, is_open) != is_open);
    }

    fn tell(&self, error: &str) {
        let probe = clock::now().plus(self.until_probe()).to_iso8601();
        self.check.set_noted(format!(
            "paused, its events wait in its queue: {error}; next probe at {probe}"
        ));
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
