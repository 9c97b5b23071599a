//! Settings of one endpoint, from `WEBHOOK_URL` and its companions or from a table of
//! the `WEBHOOK_ENDPOINTS` file.

use reqwest::{Url, header::HeaderMap};
use std::{sync::Arc, time::Duration};
use wahook_domain::{
    CircuitRule, EndpointName, EventPattern, InvalidSecret, RateLimit, RetryRule, Secret, Signer,
};
use wahook_runtime::{
    Setting, Settings,
    settings::{
        redact_url,
        shared::{self, WEBHOOK_SECRET},
    },
};

use super::{
    declared::{WEBHOOK_CONCURRENCY, WEBHOOK_RATE_LIMIT, WEBHOOK_SECRET_PREVIOUS, WEBHOOK_URL},
    retries,
    url::{self, Allowed},
};

/// Settings of one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSettings {
    /// Name in queues, log and metrics.
    pub name: EndpointName,
    /// URL that receives the events.
    pub url: Url,
    /// URL without credentials, for the log.
    pub shown_url: Arc<str>,
    /// Patterns of the events to deliver.
    pub events: Vec<EventPattern>,
    /// Only public addresses are called.
    pub block_private: bool,
    /// Secrets that sign its requests.
    pub secrets: Option<Secrets>,
    /// Number and delays of retries.
    pub retry_rule: RetryRule,
    /// Time limit for a request and its whole response.
    pub timeout: Duration,
    /// Maximum number of simultaneous requests from each consumer.
    pub concurrency: u16,
    /// Maximum number of requests per second, all consumers together.
    pub rate_limit: Option<RateLimit>,
    /// Custom headers, sent in addition to the built-in ones.
    pub headers: HeaderMap,
    /// If false, events wait in the queue.
    pub enabled: bool,
    /// Circuit breaker rule; without one the endpoint is never paused.
    pub circuit: Option<CircuitRule>,
}

/// Signing secrets of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Secrets {
    /// Secret of both signatures.
    pub current: Secret,
    /// Previous secret, while receivers change to the new one.
    pub previous: Option<Secret>,
}

impl Secrets {
    /// Creates a signer with these secrets.
    ///
    /// # Errors
    /// Fails if a secret is no valid key.
    pub fn signer(&self) -> Result<Signer, InvalidSecret> {
        Signer::new(self.current.clone(), self.previous.clone())
    }
}

impl EndpointSettings {
    /// Reads the single endpoint of `WEBHOOK_URL`.
    pub(super) fn read(settings: &mut Settings, allowed: Allowed, circuit: bool) -> Option<Self> {
        let url = read_url(settings, allowed);
        let secrets = read_secrets(settings);
        let retry_rule = retries::read(settings);
        let rate_limit = settings.value(&WEBHOOK_RATE_LIMIT);
        let timeout = shared::read_timeout(settings);
        let concurrency = settings.value(&WEBHOOK_CONCURRENCY);
        let url = url?;
        Some(Self {
            name: EndpointName::default(),
            shown_url: redact_url(url.as_str()).into(),
            url,
            events: vec![EventPattern::Every],
            block_private: !allowed.private,
            secrets,
            retry_rule: retry_rule?,
            timeout: timeout?,
            concurrency: concurrency?,
            rate_limit,
            headers: HeaderMap::new(),
            enabled: true,
            circuit: circuit.then(CircuitRule::default),
        })
    }
}

fn read_url(settings: &mut Settings, allowed: Allowed) -> Option<Url> {
    let text: String = settings.value(&WEBHOOK_URL)?;
    url::read(&text, allowed)
        .map_err(|problem| settings.fault(&WEBHOOK_URL, problem))
        .ok()
}

fn read_secrets(settings: &mut Settings) -> Option<Secrets> {
    let current = read_secret(settings, &WEBHOOK_SECRET);
    let previous = read_secret(settings, &WEBHOOK_SECRET_PREVIOUS);
    match (current, previous) {
        (Some(current), previous) => Some(Secrets { current, previous }),
        (None, Some(_)) => {
            let problem = "is set without WEBHOOK_SECRET: set the new secret there";
            settings.fault(&WEBHOOK_SECRET_PREVIOUS, problem);
            None
        }
        (None, None) => None,
    }
}

fn read_secret(settings: &mut Settings, setting: &Setting) -> Option<Secret> {
    let text = settings.secret(setting)?;
    Secret::new(text)
        .map_err(|error| settings.fault(setting, error.to_string()))
        .ok()
}
