//! The consumer's settings, read and checked whole before any connection.

use reqwest::Url;
use std::{fmt, net::IpAddr, str::FromStr, sync::Arc, time::Duration};
use wahook_delivery_log::MongoLog;
use wahook_domain::{RetryRule, Secret, Signer, is_public};
use wahook_queue::BrokerUri;
use wahook_service::{ListenAddress, Settings, settings::redact_url};

/// Everything that the consumer is told.
#[derive(Debug)]
pub struct ConsumerSettings {
    /// `AMQP_URL`
    pub broker: BrokerUri,
    /// `WEBHOOK_URL` with its secrets and limits
    pub webhook: WebhookSettings,
    /// `MONGODB_URI`
    pub mongodb_uri: String,
    /// `MONGODB_DATABASE`
    pub mongodb_database: String,
    /// `LOG_RETENTION_DAYS`
    pub log_retention_days: Option<u32>,
    /// `CONSUMER_LISTEN`
    pub listen: ListenAddress,
}

/// The one endpoint of `WEBHOOK_URL`.
#[derive(Debug)]
pub struct WebhookSettings {
    /// `WEBHOOK_URL`
    pub url: Url,
    /// `WEBHOOK_URL` as the log shows it.
    pub shown_url: Arc<str>,
    /// `WEBHOOK_BLOCK_PRIVATE`
    pub block_private: bool,
    /// `WEBHOOK_SECRET` and `WEBHOOK_SECRET_PREVIOUS`
    pub signer: Option<Signer>,
    /// `WEBHOOK_RETRY_ATTEMPTS` and `WEBHOOK_RETRY_DELAY`
    pub retry_rule: RetryRule,
    /// `WEBHOOK_TIMEOUT`
    pub timeout: Duration,
    /// `WEBHOOK_CONCURRENCY`
    pub concurrency: u16,
}

impl ConsumerSettings {
    /// Reads everything; faults are noted in `settings`, and then there is no
    /// result.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker =
            settings.required_parsed("AMQP_URL", "the broker's address", BrokerUri::EXAMPLE);
        let webhook = WebhookSettings::read(settings);
        let mongodb_uri =
            settings.required("MONGODB_URI", "mongodb://127.0.0.1:27017/?replicaSet=rs0");
        let mongodb_database = settings.parsed(
            "MONGODB_DATABASE",
            "whatsapp-api".to_owned(),
            "a database name",
            "whatsapp-api",
        );
        if !mongodb_uri.is_empty()
            && let Err(error) = MongoLog::check(&mongodb_uri, &mongodb_database)
        {
            let name = if error.is_database() {
                "MONGODB_DATABASE"
            } else {
                "MONGODB_URI"
            };
            settings.fault(
                name,
                error.to_string(),
                "mongodb://127.0.0.1:27017/?replicaSet=rs0",
            );
        }
        let retention: Option<Days> = settings.optional(
            "LOG_RETENTION_DAYS",
            "a number of days from 1 to 24855",
            "90",
        );
        let listen = Self::read_listen(settings);
        Some(Self {
            broker: broker?,
            webhook: webhook?,
            mongodb_uri,
            mongodb_database,
            log_retention_days: retention.map(|days| days.0),
            listen,
        })
    }

    /// Reads only where it listens.
    pub fn read_listen(settings: &mut Settings) -> ListenAddress {
        settings.parsed(
            "CONSUMER_LISTEN",
            ListenAddress::loopback(9091),
            "an address and port",
            "0.0.0.0:9091",
        )
    }
}

impl WebhookSettings {
    fn read(settings: &mut Settings) -> Option<Self> {
        let allow_http = settings.flag("WEBHOOK_ALLOW_HTTP", false);
        let block_private = settings.flag("WEBHOOK_BLOCK_PRIVATE", false);
        let url = read_url(settings, allow_http, block_private);
        let signer = read_signer(settings);
        let retries = settings.in_range("WEBHOOK_RETRY_ATTEMPTS", 3, 0..=10, "3");
        let delay = settings.in_range("WEBHOOK_RETRY_DELAY", 5_000, 1..=3_600_000, "5000");
        let timeout = settings.in_range("WEBHOOK_TIMEOUT", 30_000, 100..=300_000, "30000");
        let concurrency = settings.in_range("WEBHOOK_CONCURRENCY", 128, 1..=4_096, "128");
        let url = url?;
        Some(Self {
            shown_url: redact_url(url.as_str()).into(),
            url,
            block_private,
            signer,
            // Both parts are within their ranges.
            retry_rule: RetryRule::new(retries, delay).ok()?,
            timeout: Duration::from_millis(timeout),
            concurrency,
        })
    }
}

fn read_url(settings: &mut Settings, allow_http: bool, block_private: bool) -> Option<Url> {
    const NAME: &str = "WEBHOOK_URL";
    const EXAMPLE: &str = "https://example.com/webhook";
    let text = settings.required(NAME, EXAMPLE);
    if text.is_empty() {
        return None;
    }
    let url = Url::parse(&text).map_err(|error| format!("which is no URL ({error})"));
    let checked = url.and_then(|url| match fault_of(&url, allow_http, block_private) {
        Some(fault) => Err(fault),
        None => Ok(url),
    });
    checked
        .map_err(|problem| {
            let shown = redact_url(&text);
            settings.fault(NAME, format!("is \"{shown}\", {problem}"), EXAMPLE);
        })
        .ok()
}

fn fault_of(url: &Url, allow_http: bool, block_private: bool) -> Option<String> {
    match (url.scheme(), ip_address(url)) {
        (_, Some(address)) if block_private && !is_public(address) => Some(format!(
            "but {address} is not a public address, and WEBHOOK_BLOCK_PRIVATE is true"
        )),
        ("https", _) => None,
        ("http", _) if allow_http || is_loopback(url) => None,
        ("http", _) => Some(
            "but plain http carries events readable over the network: \
             use https, or set WEBHOOK_ALLOW_HTTP=true"
                .to_owned(),
        ),
        (other, _) => Some(format!("but {other}: is neither https: nor http:")),
    }
}

fn is_loopback(url: &Url) -> bool {
    match ip_address(url) {
        Some(address) => address.to_canonical().is_loopback(),
        None => url
            .domain()
            .is_some_and(|name| name.eq_ignore_ascii_case("localhost")),
    }
}

/// Where the host is an address: it is never looked up, so the resolver does
/// not see it. In whichever form it was written (`0x7f.1`, `2130706433`), the
/// URL's parser has made it one.
fn ip_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        url::Host::Domain(_) => None,
        url::Host::Ipv4(address) => Some(address.into()),
        url::Host::Ipv6(address) => Some(address.into()),
    }
}

fn read_signer(settings: &mut Settings) -> Option<Signer> {
    const EXAMPLE: &str = "a long random text, such as `openssl rand -hex 32` prints";
    let current = read_secret(settings, "WEBHOOK_SECRET", EXAMPLE);
    let previous = read_secret(settings, "WEBHOOK_SECRET_PREVIOUS", EXAMPLE);
    match (current, previous) {
        (Some(current), previous) => Signer::new(current, previous)
            .map_err(|error| settings.fault("WEBHOOK_SECRET", error.to_string(), EXAMPLE))
            .ok(),
        (None, Some(_)) => {
            let problem = "is set without WEBHOOK_SECRET: set the new secret there";
            settings.fault("WEBHOOK_SECRET_PREVIOUS", problem, EXAMPLE);
            None
        }
        (None, None) => None,
    }
}

fn read_secret(settings: &mut Settings, name: &str, example: &str) -> Option<Secret> {
    let text = settings.secret(name)?;
    Secret::new(text)
        .map_err(|error| settings.fault(name, error.to_string(), example))
        .ok()
}

/// A TTL index counts seconds in 31 bits.
struct Days(u32);

impl FromStr for Days {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(days @ 1..=24_855) => Ok(Self(days)),
            _ => Err("out of range"),
        }
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: [(&str, &str); 3] = [
        ("AMQP_URL", "amqp://127.0.0.1"),
        ("WEBHOOK_URL", "https://example.com/hook"),
        ("MONGODB_URI", "mongodb://127.0.0.1"),
    ];

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<ConsumerSettings, String> {
        let pairs = GOOD
            .iter()
            .chain(pairs)
            .copied()
            .collect::<std::collections::BTreeMap<_, _>>();
        let mut settings = Settings::from_pairs(pairs);
        let read = ConsumerSettings::read(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read.unwrap())
    }

    #[test]
    fn three_variables_are_enough_and_the_rest_has_the_documented_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(
            settings.webhook.retry_rule,
            RetryRule::new(3, 5_000).unwrap()
        );
        assert_eq!(settings.webhook.timeout, Duration::from_secs(30));
        assert!(settings.webhook.signer.is_none());
        assert_eq!(settings.mongodb_database, "whatsapp-api");
        assert_eq!(settings.log_retention_days, None);
        assert_eq!(settings.listen.to_string(), "127.0.0.1:9091");
    }

    #[test]
    fn every_fault_is_named_at_once_with_its_variable_and_a_right_example() {
        let faults = read(&[
            ("AMQP_URL", "http://broker"),
            ("WEBHOOK_URL", "ftp://example.com"),
            ("MONGODB_URI", "localhost"),
            ("WEBHOOK_RETRY_ATTEMPTS", "11"),
            ("WEBHOOK_RETRY_DELAY", "soon"),
            ("WEBHOOK_SECRET_PREVIOUS", "old"),
            ("LOG_RETENTION_DAYS", "0"),
        ])
        .unwrap_err();
        for expected in [
            "AMQP_URL",
            BrokerUri::EXAMPLE,
            "WEBHOOK_URL",
            "https://example.com/webhook",
            "MONGODB_URI",
            "mongodb://127.0.0.1:27017",
            "WEBHOOK_RETRY_ATTEMPTS",
            "WEBHOOK_RETRY_DELAY",
            "WEBHOOK_SECRET_PREVIOUS",
            "LOG_RETENTION_DAYS",
        ] {
            assert!(
                faults.contains(expected),
                "{expected} is missing in:\n{faults}"
            );
        }
    }

    #[test]
    fn plain_http_is_for_loopback_or_where_it_is_allowed() {
        for url in [
            "http://127.0.0.1:4000/hook",
            "http://localhost/hook",
            "http://[::1]/hook",
        ] {
            assert!(read(&[("WEBHOOK_URL", url)]).is_ok(), "{url}");
        }
        let refused = read(&[("WEBHOOK_URL", "http://example.com/hook")]).unwrap_err();
        assert!(refused.contains("WEBHOOK_ALLOW_HTTP"), "{refused}");
        let allowed = [
            ("WEBHOOK_URL", "http://example.com/hook"),
            ("WEBHOOK_ALLOW_HTTP", "true"),
        ];
        assert!(read(&allowed).is_ok());
    }

    #[test]
    fn a_private_address_is_refused_at_start_in_any_form_where_they_are_blocked() {
        for url in [
            "http://127.0.0.1:4000/hook",
            "https://10.0.0.1/hook",
            "https://169.254.169.254/latest",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::1]/",
            "https://[fd00::1]/",
            "https://[64:ff9b::10.0.0.1]/",
            "https://①⑦②.16.0.1/",
        ] {
            let allowed = [("WEBHOOK_URL", url), ("WEBHOOK_ALLOW_HTTP", "true")];
            assert!(read(&allowed).is_ok(), "{url}");
            let blocked = [allowed[0], allowed[1], ("WEBHOOK_BLOCK_PRIVATE", "true")];
            let refused = read(&blocked).unwrap_err();
            assert!(
                refused.contains("WEBHOOK_BLOCK_PRIVATE"),
                "{url}: {refused}"
            );
        }
        for url in ["https://8.8.8.8/hook", "https://example.com/hook"] {
            let public = [("WEBHOOK_URL", url), ("WEBHOOK_BLOCK_PRIVATE", "true")];
            assert!(read(&public).unwrap().webhook.block_private, "{url}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_used_but_never_shown() {
        let settings = read(&[("WEBHOOK_URL", "https://user:hunter2@example.com/hook")]).unwrap();
        assert_eq!(settings.webhook.url.password(), Some("hunter2"));
        assert!(!settings.webhook.shown_url.contains("hunter2"));
    }
}
