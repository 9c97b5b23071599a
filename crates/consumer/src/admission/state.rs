//! State of an admission under the endpoint's current settings.

use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use wahook_domain::{prefetch, slowed_prefetch};

use crate::{recorder::MAX_BATCH, settings::EndpointSettings};

/// Results of two batches being written and one being gathered.
const MAX_AWAITING_LOG: u16 = 3 * MAX_BATCH;

/// Rules and permits of an endpoint under its current settings.
pub(super) struct State {
    pub(super) rules: wahook_domain::Admission,
    /// Maximum number of requests in flight.
    concurrency: u16,
    /// Limits the requests in flight.
    pub(super) permits: Arc<Semaphore>,
    /// Maximum number of unacked messages.
    prefetch: u16,
}

impl State {
    pub(super) fn new(settings: &EndpointSettings) -> Self {
        Self {
            rules: wahook_domain::Admission::new(settings.circuit, settings.rate_limit),
            concurrency: settings.concurrency,
            permits: Arc::new(Semaphore::new(settings.concurrency.into())),
            prefetch: prefetch_of(settings),
        }
    }

    pub(super) fn apply(&mut self, settings: &EndpointSettings, now: Duration) {
        let EndpointSettings {
            circuit,
            rate_limit,
            concurrency,
            ..
        } = *settings;
        self.rules.apply(circuit, rate_limit, now);
        self.prefetch = prefetch_of(settings);
        // Requests in flight keep their permits, also if the number of permits changes.
        if self.concurrency != concurrency {
            self.concurrency = concurrency;
            self.permits = Arc::new(Semaphore::new(concurrency.into()));
        }
    }

    /// Returns the maximum number of unacked messages.
    pub(super) fn prefetch(&self) -> u16 {
        match self.rules.slowest() {
            Some(per_second) => slowed_prefetch(self.prefetch, per_second),
            None => self.prefetch,
        }
    }
}

fn prefetch_of(settings: &EndpointSettings) -> u16 {
    prefetch(
        settings.concurrency,
        MAX_AWAITING_LOG,
        settings.rate_limit,
        settings.timeout,
    )
}
