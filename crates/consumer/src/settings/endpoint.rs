//! What is known of one endpoint, from either form: `WEBHOOK_URL` with its
//! companions, or a table of the file that `WEBHOOK_ENDPOINTS` names.

use reqwest::{Url, header::HeaderMap};
use std::{sync::Arc, time::Duration};
use wahook_domain::{
    CircuitRule, EndpointName, EventPattern, InvalidSecret, RateLimit, RetryRule, Secret, Signer,
};
use wahook_runtime::{Settings, settings::redact_url};

use super::url::{self, Allowed};

/// The numbers that an endpoint has where nothing else is said.
pub(super) const RETRY_ATTEMPTS: u32 = 3;
pub(super) const RETRY_DELAY: u32 = 5_000;
pub(super) const TIMEOUT: u64 = 30_000;
pub(super) const CONCURRENCY: u16 = 128;
/// The longest and the shortest time limit, in milliseconds.
pub(super) const TIMEOUTS: std::ops::RangeInclusive<u64> = 100..=300_000;
/// The most and the least requests in flight.
pub(super) const CONCURRENCIES: std::ops::RangeInclusive<u16> = 1..=4_096;

const SECRET_EXAMPLE: &str = "a long random text, such as `openssl rand -hex 32` prints";

/// One endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSettings {
    /// What it is called in queues, log and metrics.
    pub name: EndpointName,
    /// Where it is.
    pub url: Url,
    /// The same as the log shows it.
    pub shown_url: Arc<str>,
    /// Which events it wants.
    pub events: Vec<EventPattern>,
    /// Only public addresses are called.
    pub block_private: bool,
    /// What its requests are signed with.
    pub secrets: Option<Secrets>,
    /// How often and when a failed delivery is tried again.
    pub retry_rule: RetryRule,
    /// How long a request may take.
    pub timeout: Duration,
    /// How many requests may be made at once, by each consumer.
    pub concurrency: u16,
    /// How many requests all consumers together may begin in a second.
    pub rate_limit: Option<RateLimit>,
    /// What is sent beside the headers that the system sets.
    pub headers: HeaderMap,
    /// `false`: its events wait in its queue.
    pub enabled: bool,
    /// When it is taken to be down; `None`: never.
    pub circuit: Option<CircuitRule>,
}

/// The secrets of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Secrets {
    /// The one that both signatures are made with.
    pub current: Secret,
    /// The one before, while receivers change over.
    pub previous: Option<Secret>,
}

impl Secrets {
    /// What signs with them.
    ///
    /// # Errors
    /// When a secret can't be a key.
    pub fn signer(&self) -> Result<Signer, InvalidSecret> {
        Signer::new(self.current.clone(), self.previous.clone())
    }
}

impl EndpointSettings {
    /// Reads the one endpoint of `WEBHOOK_URL`.
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
