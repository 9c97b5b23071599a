//! Endpoint set: the endpoints to serve, their settings in effect, and changes of both.

mod exact;

use anyhow::Context;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::watch;
use wahook_delivery_log::SharedLog;
use wahook_domain::{EndpointName, EventPattern, LaneCount, Lanes, Reach, Recoveries, WaitStep};
use wahook_queue::{Publisher, Topology};
use wahook_runtime::Readiness;

use crate::{
    admission::Admission,
    client::EndpointClient,
    deliverer::Deliverer,
    known_states::KnownStates,
    log_health::LogHealth,
    memory::{MemoryBudget, MemoryShare},
    metrics::ConsumerMetrics,
    network::Network,
    outages::OutageWatch,
    recorder::Recorder,
    settings::EndpointSettings,
    worker::Worker,
};

/// Endpoints to serve, and the topology they need.
#[derive(Clone)]
pub(crate) struct EndpointSet {
    /// Must be declared before the members are used.
    pub(crate) topology: Topology,
    /// Includes removed endpoints, whose queued events are still delivered.
    pub(crate) members: Vec<EndpointHandle>,
}

/// Worker and the deliverer it must use.
#[derive(Clone)]
pub(crate) struct EndpointHandle {
    pub(crate) worker: Arc<Worker>,
    pub(crate) endpoint: Arc<Deliverer>,
}

/// Parts shared by all endpoints.
pub(crate) struct Shared {
    pub(crate) publisher: Publisher,
    pub(crate) recorder: Recorder,
    pub(crate) log: SharedLog,
    pub(crate) log_health: LogHealth,
    pub(crate) metrics: ConsumerMetrics,
    pub(crate) readiness: Readiness,
    /// True if the broker is a store within this process, which needs no more than one lane.
    pub(crate) is_local: bool,
    /// What operators have set.
    pub(crate) operator: KnownStates,
    /// Ends of outages, for automatic redrives.
    pub(crate) recoveries: watch::Sender<Recoveries>,
    /// Memory for the events of all queues.
    pub(crate) memory: MemoryBudget,
    /// Memory of the queue of results.
    pub(crate) results_memory: Arc<MemoryShare>,
}

/// Builds the first endpoint set and each replacement.
pub(crate) struct EndpointManager {
    parts: Shared,
    /// Settings in effect, including those of removed endpoints.
    known: Vec<EndpointSettings>,
    endpoints: watch::Sender<EndpointSet>,
}

impl EndpointManager {
    /// Builds the first endpoint set.
    ///
    /// # Errors
    /// Fails if a client can't be built.
    pub(crate) fn start(
        parts: Shared,
        list: Vec<EndpointSettings>,
    ) -> anyhow::Result<(Self, watch::Receiver<EndpointSet>)> {
        let (endpoints, receiver) = watch::channel(EndpointSet {
            topology: Topology::default(),
            members: Vec::new(),
        });
        let mut manager = Self {
            parts,
            known: Vec::new(),
            endpoints,
        };
        manager.replace(list)?;
        Ok((manager, receiver))
    }

    /// Puts another list into effect: all of it or, on an error, nothing.
    ///
    /// # Errors
    /// Fails if a client can't be built.
    pub(crate) fn replace(&mut self, mut list: Vec<EndpointSettings>) -> anyhow::Result<()> {
        if self.parts.is_local {
            for settings in &mut list {
                settings.shared_lanes = LaneCount::ONE;
                if let Some(lanes) = &mut settings.lanes {
                    lanes.count = LaneCount::ONE;
                }
            }
        }
        let removed = |known: &&EndpointSettings| list.iter().all(|new| new.name != known.name);
        let removed: Vec<_> = self.known.iter().filter(removed).cloned().collect();
        let left = removed.iter().map(|e| (&e.name, e.division()));
        let waits = removed.iter().flat_map(|e| e.retry_rule.wait_steps());
        let next = {
            let endpoints = self.endpoints.borrow();
            let mut members = Vec::with_capacity(list.len() + removed.len());
            for settings in &list {
                members.push(self.member(settings, &endpoints)?);
            }
            for settings in &removed {
                let member = endpoints.find(&settings.name);
                if let Some(member) = &member {
                    // Nothing serves its queue after the next start.
                    member.endpoint.outages.stop_redrives();
                }
                members.extend(member);
            }
            EndpointSet {
                topology: topology(&list, left, waits).replacing(&endpoints.topology),
                members,
            }
        };
        self.share_memory(&next.members);
        self.log_changes(&list, &removed);
        self.known = list;
        // An empty list of events marks a removed endpoint.
        self.known
            .extend(removed.into_iter().map(|settings| EndpointSettings {
                events: Vec::new(),
                ..settings
            }));
        self.endpoints.send_replace(next);
        Ok(())
    }

    /// Closes the idle connections of all endpoints, so that the next requests look up
    /// their hosts again.
    pub(crate) fn close_idle_connections(&self) {
        for member in &self.endpoints.borrow().members {
            member.endpoint.client.close_idle();
        }
    }

    /// Divides the memory among the endpoints and the queue of results.
    fn share_memory(&self, members: &[EndpointHandle]) {
        let share = self.parts.memory.share(members.len());
        self.parts.results_memory.set_bytes(share);
        let mut queues = 0;
        for member in members {
            let lanes = member.endpoint.settings.shared_lanes;
            member.worker.set_memory(share, lanes);
            queues += usize::from(lanes.get());
        }
        self.parts.memory.warn_above_limit(members.len(), queues);
    }

    fn member(
        &self,
        settings: &EndpointSettings,
        endpoints: &EndpointSet,
    ) -> anyhow::Result<EndpointHandle> {
        let before = match endpoints.find(&settings.name) {
            Some(before) if self.known.contains(settings) => return Ok(before),
            before => before,
        };
        let endpoint = self.endpoint(settings, before.as_ref().map(|before| &before.endpoint));
        let endpoint = endpoint.with_context(|| format!("endpoint {}", settings.name))?;
        let endpoint = Arc::new(endpoint);
        let worker = match before {
            Some(before) => before.worker,
            None => {
                endpoint.take_effect();
                Arc::new(Worker::new(Arc::clone(&endpoint)))
            }
        };
        Ok(EndpointHandle { worker, endpoint })
    }

    fn endpoint(
        &self,
        settings: &EndpointSettings,
        before: Option<&Arc<Deliverer>>,
    ) -> anyhow::Result<Deliverer> {
        let parts = &self.parts;
        let signer = settings.secrets.as_ref().map(|secrets| secrets.signer());
        let client = EndpointClient::new(
            settings.url.clone(),
            signer.transpose()?,
            settings.timeout,
            settings.concurrency.into(),
            Network::of(settings).context("TLS")?,
        );
        let metrics = parts.metrics.endpoint(&settings.name);
        let admission = match before {
            Some(before) => Arc::clone(&before.admission),
            None => {
                let check = parts
                    .readiness
                    .check(&format!("endpoint_{}", settings.name));
                let admission = Admission::new(settings, metrics.clone(), check);
                admission.set_operator_pause(parts.operator.pause_of(&settings.name).as_ref());
                Arc::new(admission)
            }
        };
        let unfinished = before.map(|before| Arc::clone(&before.unfinished));
        let outages = match before {
            Some(before) => Arc::clone(&before.outages),
            None => {
                let recoveries = parts.recoveries.clone();
                Arc::new(OutageWatch::new(settings.name.clone(), recoveries))
            }
        };
        let client = client.context("building the HTTP client")?;
        Ok(Deliverer {
            name: settings.name.clone(),
            settings: settings.clone(),
            lanes: settings.lane_queues(),
            client: client
                .with_headers(settings.headers.clone())
                .with_body(settings.body)
                .with_redirects(settings.follow_redirects),
            admission,
            unfinished: unfinished.unwrap_or_default(),
            outages,
            publisher: parts.publisher.clone(),
            recorder: parts.recorder.clone(),
            log: Arc::clone(&parts.log),
            log_health: parts.log_health.clone(),
            metrics,
            totals: parts.metrics.clone(),
        })
    }

    fn log_changes(&self, list: &[EndpointSettings], removed: &[EndpointSettings]) {
        for settings in list.iter().filter(|new| !self.known.contains(new)) {
            let (endpoint, url) = (&settings.name, &settings.shown_url);
            let events = in_words(&settings.events);
            let known = self.known.iter().find(|known| known.name == settings.name);
            match known {
                Some(known) if !known.events.is_empty() => {
                    tracing::info!(%endpoint, url = %url, events, enabled = settings.enabled, "endpoint changed");
                }
                _ => {
                    tracing::info!(%endpoint, url = %url, events, enabled = settings.enabled, "endpoint added");
                }
            }
        }
        for settings in list.iter().filter(|settings| settings.tls.skip_verify) {
            let endpoint = &settings.name;
            tracing::warn!(%endpoint, "certificates are not verified (insecure_skip_verify): anyone on the way can read and answer deliveries; use ca_file instead");
        }
        for settings in list {
            log_proxy(settings);
        }
        self.log_exact(list);
        for settings in removed.iter().filter(|known| !known.events.is_empty()) {
            let endpoint = &settings.name;
            tracing::info!(%endpoint, "endpoint removed, queued events are still delivered");
            let check = self.parts.readiness.check(&format!("endpoint_{endpoint}"));
            check.set_noted("removed; queued events are still delivered until the next start");
        }
    }
}

impl EndpointSet {
    fn find(&self, name: &EndpointName) -> Option<EndpointHandle> {
        let found = self.members.iter().find(|m| m.worker.name() == name)?;
        Some(EndpointHandle {
            worker: Arc::clone(&found.worker),
            endpoint: Arc::clone(&found.endpoint),
        })
    }
}

/// Returns the topology that these endpoints need. Removed endpoints (`left`) keep
/// their queues without bindings, for the messages in them; `waits` are their delays.
pub fn topology<'a>(
    list: &'a [EndpointSettings],
    left: impl IntoIterator<Item = (&'a EndpointName, Option<Lanes>)>,
    waits: impl IntoIterator<Item = WaitStep>,
) -> Topology {
    let nothing: &[EventPattern] = &[];
    let wanted = list
        .iter()
        .map(|e| (&e.name, e.events.as_slice(), e.division()));
    let left = left.into_iter().map(|(name, lanes)| (name, nothing, lanes));
    let steps = list.iter().flat_map(|e| e.retry_rule.wait_steps());
    let steps: BTreeSet<WaitStep> = steps.chain(waits).collect();
    let steps: Vec<_> = steps.into_iter().collect();
    Topology::deliveries(wanted.chain(left), &steps)
}

/// Logs through which proxy an endpoint is reached.
fn log_proxy(settings: &EndpointSettings) {
    let endpoint = &settings.name;
    if let Some(proxy) = &settings.proxy {
        tracing::info!(%endpoint, %proxy, "deliveries go through a proxy");
        if proxy.looks_up_names() && settings.reach == Reach::Public {
            tracing::warn!(%endpoint, "the proxy looks up names, so WEBHOOK_BLOCK_PRIVATE checks only addresses in URLs: block private addresses in the proxy, or use socks5://");
        }
    }
}

fn in_words(patterns: &[EventPattern]) -> String {
    let words: Vec<_> = patterns.iter().map(ToString::to_string).collect();
    words.join(" ")
}
