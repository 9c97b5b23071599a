//! Settings of one endpoint, from `WEBHOOK_URL` and its companions or from a table of
//! the `WEBHOOK_ENDPOINTS` file.

use reqwest::{Url, header::HeaderMap};
use std::{sync::Arc, time::Duration};
use wahook_domain::{
    CircuitRule, EndpointName, EventPattern, InvalidSecret, RateLimit, RetryRule, Secret, Signer,
};
use wahook_runtime::{Settings, settings::redact_url};

use super::url::{self, Allowed};

/// Defaults of an endpoint; times are in milliseconds.
pub(super) const RETRY_ATTEMPTS: u32 = 3;
pub(super) const RETRY_DELAY: u32 = 5_000;
pub(super) const TIMEOUT: u64 = 30_000;
pub(super) const CONCURRENCY: u16 = 128;
/// Valid timeouts, in milliseconds.
pub(super) const TIMEOUTS: std::ops::RangeInclusive<u64> = 100..=300_000;
/// Valid numbers of requests in flight.
pub(super) const CONCURRENCIES: std::ops::RangeInclusive<u16> = 1..=4_096;

const SECRET_EXAMPLE: &str = "a long random text, such as `openssl rand -hex 32` prints";

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
        let retries = settings.in_range("WEBHOOK_RETRY_ATTEMPTS", RETRY_ATTEMPTS, 0..=10, "3");
        let delay = settings.in_range("WEBHOOK_RETRY_DELAY", RETRY_DELAY, 1..=3_600_000, "5000");
        let timeout = settings.in_range("WEBHOOK_TIMEOUT", TIMEOUT, TIMEOUTS, "30000");
        let concurrency =
            settings.in_range("WEBHOOK_CONCURRENCY", CONCURRENCY, CONCURRENCIES, "128");
        let url = url?;
        Some(Self {
            name: EndpointName::default(),
            shown_url: redact_url(url.as_str()).into(),
            url,
            events: vec![EventPattern::Every],
            block_private: !allowed.private,
            secrets,
            // Both parts are within their ranges.
            retry_rule: RetryRule::new(retries, delay).ok()?,
            timeout: Duration::from_millis(timeout),
            concurrency,
            rate_limit: None,
            headers: HeaderMap::new(),
            enabled: true,
            circuit: circuit.then(CircuitRule::default),
        })
    }
}

fn read_url(settings: &mut Settings, allowed: Allowed) -> Option<Url> {
    const NAME: &str = "WEBHOOK_URL";
    let text = settings.required(NAME, url::EXAMPLE);
    if text.is_empty() {
        return None;
    }
    url::read(&text, allowed)
        .map_err(|problem| settings.fault(NAME, problem, url::EXAMPLE))
        .ok()
}

fn read_secrets(settings: &mut Settings) -> Option<Secrets> {
    let current = read_secret(settings, "WEBHOOK_SECRET");
    let previous = read_secret(settings, "WEBHOOK_SECRET_PREVIOUS");
    match (current, previous) {
        (Some(current), previous) => Some(Secrets { current, previous }),
        (None, Some(_)) => {
            let problem = "is set without WEBHOOK_SECRET: set the new secret there";
            settings.fault("WEBHOOK_SECRET_PREVIOUS", problem, SECRET_EXAMPLE);
            None
        }
        (None, None) => None,
    }
}

fn read_secret(settings: &mut Settings, name: &str) -> Option<Secret> {
    let text = settings.secret(name)?;
    Secret::new(text)
        .map_err(|error| settings.fault(name, error.to_string(), SECRET_EXAMPLE))
        .ok()
}
