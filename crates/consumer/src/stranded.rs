//! Stranded events: queued for an endpoint that is not configured, for example because it
//! was renamed in the file before a restart. Nothing delivers them, so they are reported in
//! log, metrics and `/readyz`.

mod report;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use prometheus::IntGaugeVec;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use wahook_delivery_log::LogReader;
use wahook_domain::{EndpointName, LaneCount, Lanes};
use wahook_queue::{AbsentQueues, Broker, Declaration, EndpointQueues, LinkState, LookError};
use wahook_runtime::Readiness;

use report::{ADVICE, Stranded};

use crate::endpoint_set::{EndpointHandle, EndpointSet};

/// Interval of the checks, which also follow each reload.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// Time limit for registering the endpoints, for a busy broker: while an endpoint is not registered,
/// nobody else finds the events in its lanes. Under an alarm of the broker it takes longer;
/// deliveries do not wait for that.
const REGISTER_LIMIT: Duration = Duration::from_secs(10);
/// Name of the connection in the broker's listings.
const CONNECTION: &str = "wahook-consumer endpoints";
/// Name of the check in `/readyz`; it never fails.
const CHECK: &str = "stranded_events";
/// Parts that the watch reads, and where it reports.
pub(crate) struct Watched {
    pub(crate) broker: Broker,
    pub(crate) endpoints: watch::Receiver<EndpointSet>,
    /// State of the consuming connection; no check while it is down.
    pub(crate) link: watch::Receiver<LinkState>,
    pub(crate) history: Option<Arc<dyn LogReader>>,
    pub(crate) gauge: IntGaugeVec,
    pub(crate) readiness: Readiness,
}

/// Checks at the start, after each reload and once a minute, until the endpoints end.
pub(crate) async fn watch(mut watched: Watched) {
    let mut reported = BTreeSet::new();
    let mut absent = AbsentQueues::default();
    let mut failing = false;
    loop {
        if watched.link.wait_for(|link| link.up).await.is_err() {
            return;
        }
        let declared = declarations(&watched.endpoints.borrow_and_update());
        match watched.find(&declared, &mut absent).await {
            Ok(stranded) => {
                failing = false;
                watched.report(&stranded, &mut reported);
            }
            Err(error) if failing => tracing::debug!(%error, "stranded events not counted"),
            Err(error) => {
                failing = true;
                tracing::warn!(%error, "events of endpoints that are not configured could not be counted");
            }
        }
        tokio::select! {
            () = sleep(CHECK_EVERY) => {}
            changed = watched.endpoints.changed() => if changed.is_err() { return },
        }
    }
}

/// Registers the endpoints that are served, so that a later consumer finds those that it
/// does not have. [`watch`] repeats it after a failure. Returns those endpoints with other
/// lanes than now, as earlier consumers had them; `None` if they can't be read. A store in this
/// process has no registry.
pub(crate) async fn register(broker: &Broker, endpoints: &EndpointSet) -> Option<Vec<Declaration>> {
    let declared = declarations(endpoints);
    if matches!(broker, Broker::Local(_)) {
        return Some(local_lanes(declared));
    }
    let registered = timeout(REGISTER_LIMIT, async {
        let queues = EndpointQueues::open(broker, CONNECTION).await?;
        let registered = queues.register(&declared).await;
        queues.close().await;
        registered
    });
    match registered.await {
        Ok(Ok(known)) => return Some(with_other_lanes(known, &declared)),
        Ok(Err(error)) => tracing::debug!(%error, "endpoints not registered"),
        Err(_) => tracing::debug!("endpoints not registered within {REGISTER_LIMIT:?}"),
    }
    None
}

/// Returns the endpoints that have no order now, with the lane that they may have had before.
fn local_lanes(declared: BTreeSet<Declaration>) -> Vec<Declaration> {
    let unordered = declared.into_iter();
    let unordered = unordered.filter(|endpoint| endpoint.lanes.is_none());
    unordered
        .map(|endpoint| Declaration {
            lanes: Some(Lanes::Ordered(LaneCount::ONE)),
            ..endpoint
        })
        .collect()
}

/// Returns the known endpoints that are served, with other lanes.
fn with_other_lanes(
    known: BTreeSet<Declaration>,
    declared: &BTreeSet<Declaration>,
) -> Vec<Declaration> {
    let is_other = |known: &Declaration| {
        let mut served = declared.iter().filter(|now| now.endpoint == known.endpoint);
        known.lanes.is_some() && served.any(|now| now.lanes != known.lanes)
    };
    known.into_iter().filter(is_other).collect()
}

/// Returns the endpoints that are served, with their patterns.
fn declarations(endpoints: &EndpointSet) -> BTreeSet<Declaration> {
    let members = endpoints.members.iter();
    let declared = members.map(|EndpointHandle { endpoint, .. }| Declaration {
        endpoint: endpoint.name.clone(),
        lanes: endpoint.settings.division(),
        patterns: endpoint.settings.events.clone(),
    });
    declared.collect()
}

impl Watched {
    async fn find(
        &mut self,
        declared: &BTreeSet<Declaration>,
        absent: &mut AbsentQueues,
    ) -> Result<Stranded, LookError> {
        let queues = EndpointQueues::open(&self.broker, CONNECTION).await?;
        let found = self.find_in(&queues, declared, absent).await;
        queues.close().await;
        found
    }

    async fn find_in(
        &mut self,
        queues: &EndpointQueues,
        declared: &BTreeSet<Declaration>,
        absent: &mut AbsentQueues,
    ) -> Result<Stranded, LookError> {
        let known = queues.register(declared).await?;
        let served: BTreeSet<_> = declared.iter().map(|d| &d.endpoint).collect();
        let registered: BTreeSet<_> = known.iter().map(|d| &d.endpoint).collect();
        let mut names: BTreeSet<EndpointName> = registered.iter().copied().cloned().collect();
        // The endpoint of WEBHOOK_URL, and those that an earlier version did not register.
        names.insert(EndpointName::default());
        names.extend(self.former_endpoints().await);
        names.retain(|name| !served.contains(name));
        let census = queues.census(&names, &known, absent).await?;
        let unregistered = census.keys().filter(|name| !registered.contains(name));
        let unregistered = unregistered.map(|name| Declaration {
            endpoint: name.clone(),
            lanes: None,
            patterns: Vec::new(),
        });
        let unregistered: BTreeSet<_> = unregistered.collect();
        if !unregistered.is_empty() {
            queues.register(&unregistered).await?;
        }
        Ok(Stranded::of(&census, &served))
    }

    /// Returns the endpoints of recent deliveries, once.
    async fn former_endpoints(&mut self) -> BTreeSet<EndpointName> {
        let Some(history) = &self.history else {
            return BTreeSet::new();
        };
        match history.recent_endpoints().await {
            Ok(endpoints) => {
                self.history = None;
                endpoints
            }
            Err(error) => {
                tracing::debug!(%error, "endpoints of recent deliveries not read");
                BTreeSet::new()
            }
        }
    }

    /// Updates metric and readiness, and logs endpoints that were not reported before.
    fn report(&self, stranded: &Stranded, reported: &mut BTreeSet<EndpointName>) {
        // An endpoint that has none now is missing.
        self.gauge.reset();
        for (endpoint, messages) in stranded.series() {
            self.gauge.with_label_values(&[endpoint]).set(messages);
        }
        for (endpoint, messages) in stranded.named() {
            if !reported.contains(endpoint) {
                tracing::warn!(%endpoint, messages, "events are queued for an endpoint that is not configured, and are not delivered: {ADVICE}");
            }
        }
        // Without stranded events, there is no such check from the start on.
        match stranded.note() {
            Some(note) => self.readiness.check(CHECK).set_noted(note),
            None if reported.is_empty() => {}
            None => {
                tracing::info!("no more events are queued for endpoints that are not configured");
                self.readiness.check(CHECK).set_ok();
            }
        }
        *reported = stranded.endpoints();
    }
}
