//! Settings of one endpoint, from `WEBHOOK_URL` and its companions or from a table of
//! the `WEBHOOK_ENDPOINTS` file.

use reqwest::{Url, header::HeaderMap};
use std::{fmt, str::FromStr, sync::Arc, time::Duration};
use wahook_domain::{
    AutoRedrive, BodyForm, CircuitRule, EndpointName, EventPattern, InvalidSecret, LaneCount,
    Lanes, OriginFilter, RateLimit, Reach, RetryRule, Secret, Signer,
};
use wahook_queue::topology;
use wahook_runtime::{
    Setting, Settings,
    settings::shared::{self, WEBHOOK_SECRET},
};

use super::{
    connection_settings::WEBHOOK_FOLLOW_REDIRECTS,
    declared::{
        WEBHOOK_BODY, WEBHOOK_CONCURRENCY, WEBHOOK_HIDE_URL, WEBHOOK_RATE_LIMIT,
        WEBHOOK_SECRET_PREVIOUS, WEBHOOK_SIGNATURE_SECRET, WEBHOOK_URL,
    },
    order::{self, LaneSettings, OnExhausted},
    proxy::{Proxies, ProxyUrl},
    retries,
    url::{self, Allowed, Target},
};
use crate::tls::TlsSettings;

#[derive(Debug, Clone, PartialEq)]
pub struct EndpointSettings {
    /// Name in queues, log and metrics.
    pub name: EndpointName,
    /// URL that receives the events, without login.
    pub url: Url,
    /// URL without secrets, for the log.
    pub shown_url: Arc<str>,
    /// The URL's path is a secret.
    pub hide_url: bool,
    /// Patterns of the events to deliver.
    pub events: Vec<EventPattern>,
    /// Filter by the origin of events, unless events of every origin are delivered.
    pub filter: Option<OriginFilter>,
    /// Addresses that may be called.
    pub reach: Reach,
    /// Proxy, unless the endpoint is reached directly.
    pub proxy: Option<ProxyUrl>,
    /// Trusted certificates and client certificate.
    pub tls: TlsSettings,
    /// Age at which connections get no more requests.
    pub connection_age: Duration,
    /// Redirects within the host are followed.
    pub follow_redirects: bool,
    /// Form of the bodies that it receives.
    pub body: BodyForm,
    /// Secrets that sign its requests.
    pub secrets: Option<Secrets>,
    /// Number and delays of retries.
    pub retry_rule: RetryRule,
    /// Redrive of dead letters after an outage.
    pub auto_redrive: Option<AutoRedrive>,
    /// Time limit for a request and its whole response.
    pub timeout: Duration,
    /// Maximum number of simultaneous requests from each consumer.
    pub concurrency: u16,
    /// Maximum number of requests per second, all consumers together.
    pub rate_limit: Option<RateLimit>,
    /// Custom headers and the login of the URL, sent in addition to the built-in ones.
    pub headers: HeaderMap,
    /// Lanes of an endpoint that receives events in order.
    pub lanes: Option<LaneSettings>,
    /// Number of queues that all consumers share, if the events have no order; else 1.
    pub shared_lanes: LaneCount,
    /// If false, events wait in the queue.
    pub enabled: bool,
    /// Circuit breaker rule; without one the endpoint is never paused.
    pub circuit: Option<CircuitRule>,
}

/// Signing secrets of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Secrets {
    /// Secret of both signatures, unless the body is signed with the previous one.
    pub current: Secret,
    /// Previous secret, while receivers change to the new one.
    pub previous: Option<Secret>,
    /// Secret of `X-Webhook-Signature`.
    pub of_body: SignatureSecret,
}

impl Secrets {
    /// Creates a signer with these secrets.
    ///
    /// # Errors
    /// Fails if a secret is no valid key.
    pub fn signer(&self) -> Result<Signer, InvalidSecret> {
        let signer = Signer::new(self.current.clone(), self.previous.clone())?;
        Ok(match (&self.previous, self.of_body) {
            (Some(previous), SignatureSecret::Previous) => signer.with_body_secret(previous),
            _ => signer,
        })
    }
}

/// Secret of `X-Webhook-Signature`, which has room for one signature only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureSecret {
    #[default]
    Current,
    Previous,
}

impl FromStr for SignatureSecret {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "current" => Ok(Self::Current),
            "previous" => Ok(Self::Previous),
            _ => Err("unknown value"),
        }
    }
}

impl fmt::Display for SignatureSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "current",
            Self::Previous => "previous",
        })
    }
}

impl EndpointSettings {
    /// Returns the queues among which the events are divided; `None` with one queue.
    pub(crate) fn division(&self) -> Option<Lanes> {
        match self.lanes {
            Some(lanes) => Some(Lanes::Ordered(lanes.count)),
            None if self.shared_lanes == LaneCount::ONE => None,
            None => Some(Lanes::Shared(self.shared_lanes)),
        }
    }

    /// Returns the rule of the retries in lanes.
    pub(crate) fn lane_rule(&self) -> RetryRule {
        match self.lanes.map(|lanes| lanes.on_exhausted) {
            Some(OnExhausted::Hold) => self.retry_rule.holding(),
            Some(OnExhausted::Continue) | None => self.retry_rule,
        }
    }

    /// Returns the queues of the ordered lanes; none without order.
    pub(crate) fn lane_queues(&self) -> Vec<String> {
        let queues = |lanes: LaneSettings| topology::lane_queues(&self.name, lanes.count).collect();
        self.lanes.map(queues).unwrap_or_default()
    }

    /// Returns true if servers need a certificate that the system trusts.
    pub(super) fn trusts_the_system(&self) -> bool {
        self.url.scheme() == "https" && self.tls.authorities.is_none() && !self.tls.skip_verify
    }

    /// Reads the single endpoint of `WEBHOOK_URL`.
    pub(super) fn read(
        settings: &mut Settings,
        allowed: Allowed,
        proxies: &Proxies,
        circuit: bool,
    ) -> Option<Self> {
        let hide_url = settings.flag(&WEBHOOK_HIDE_URL);
        let target = read_url(settings, allowed, hide_url);
        let secrets = read_secrets(settings);
        let retry_rule = retries::read(settings);
        let auto_redrive = retries::read_auto_redrive(settings);
        let rate_limit = settings.value(&WEBHOOK_RATE_LIMIT);
        let body = settings.value(&WEBHOOK_BODY);
        let follow_redirects = settings.flag(&WEBHOOK_FOLLOW_REDIRECTS);
        let division = order::read(settings, retry_rule);
        let timeout = shared::read_timeout(settings);
        let concurrency = settings.value(&WEBHOOK_CONCURRENCY);
        let target = target?;
        Some(Self {
            name: EndpointName::default(),
            proxy: proxies.of(&target.url),
            shown_url: target.shown,
            url: target.url,
            hide_url,
            events: vec![EventPattern::Every],
            filter: None,
            reach: allowed.reach,
            tls: TlsSettings::default(),
            connection_age: allowed.connection_age,
            follow_redirects,
            body: body?,
            secrets,
            retry_rule: retry_rule?,
            auto_redrive,
            timeout: timeout?,
            concurrency: concurrency?,
            rate_limit,
            headers: target.login.into_iter().collect(),
            lanes: division.lanes,
            shared_lanes: division.shared,
            enabled: true,
            circuit: circuit.then(CircuitRule::default),
        })
    }
}

fn read_url(settings: &mut Settings, allowed: Allowed, hide_url: bool) -> Option<Target> {
    let text: String = settings.value(&WEBHOOK_URL)?;
    let target = url::read(&text, allowed, hide_url)
        .map_err(|problem| settings.fault(&WEBHOOK_URL, problem))
        .ok()?;
    settings.show_as(&WEBHOOK_URL, &target.shown);
    Some(target)
}

fn read_secrets(settings: &mut Settings) -> Option<Secrets> {
    let current = read_secret(settings, &WEBHOOK_SECRET);
    let previous = read_secret(settings, &WEBHOOK_SECRET_PREVIOUS);
    let of_body = settings.value(&WEBHOOK_SIGNATURE_SECRET)?;
    if of_body == SignatureSecret::Previous && previous.is_none() {
        let problem = "is previous, but WEBHOOK_SECRET_PREVIOUS is not set";
        settings.fault(&WEBHOOK_SIGNATURE_SECRET, problem);
    }
    match (current, previous) {
        (Some(current), previous) => Some(Secrets {
            current,
            previous,
            of_body,
        }),
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
