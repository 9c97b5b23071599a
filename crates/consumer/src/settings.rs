//! Consumer settings, read and validated completely before any connection.

mod endpoint;
mod file;
mod inner_tables;
mod toml_table;
mod url;

use std::{fmt, str::FromStr};
use wahook_delivery_log::MongoLog;
use wahook_queue::BrokerUri;
use wahook_runtime::{ListenAddress, Settings};

pub use endpoint::{EndpointSettings, Secrets};
pub use file::EndpointsFile;
pub use toml_table::FileFault;
use url::Allowed;

/// All settings of the consumer.
#[derive(Debug)]
pub struct ConsumerSettings {
    /// `AMQP_URL`
    pub broker: BrokerUri,
    /// `MONGODB_URI`
    pub mongodb_uri: String,
    /// `MONGODB_DATABASE`
    pub mongodb_database: String,
    /// Settings that do not depend on the broker and the log.
    pub delivery: DeliverySettings,
}

/// Settings of the deliveries, the log's retention and the operator address.
#[derive(Debug)]
pub struct DeliverySettings {
    /// `WEBHOOK_URL` and its companions, or `WEBHOOK_ENDPOINTS`
    pub endpoints: Endpoints,
    /// `LOG_RETENTION_DAYS`
    pub log_retention_days: Option<u32>,
    /// `CONSUMER_LISTEN`
    pub listen: ListenAddress,
}

/// Endpoints at the start, and the file from which they are reloaded.
#[derive(Debug)]
pub struct Endpoints {
    /// Never empty.
    pub list: Vec<EndpointSettings>,
    /// `WEBHOOK_ENDPOINTS`; `None` for the single endpoint of `WEBHOOK_URL`.
    pub file: Option<EndpointsFile>,
}

impl ConsumerSettings {
    /// Reads all settings. Returns `None` after a fault; faults are collected in
    /// `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker =
            settings.required_parsed("AMQP_URL", "the broker's address", BrokerUri::EXAMPLE);
        let delivery = DeliverySettings::read(settings);
        let log = LogSettings::read(settings);
        Some(Self {
            broker: broker?,
            mongodb_uri: log.uri,
            mongodb_database: log.database,
            delivery: delivery?,
        })
    }

    /// Reads `CONSUMER_LISTEN` only.
    pub fn read_listen(settings: &mut Settings) -> ListenAddress {
        settings.parsed(
            "CONSUMER_LISTEN",
            ListenAddress::loopback(9091),
            "an address and port",
            "0.0.0.0:9091",
        )
    }
}

impl DeliverySettings {
    /// Reads all settings. Returns `None` after a fault; faults are collected in
    /// `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let endpoints = Endpoints::read(settings);
        let retention: Option<Days> = settings.optional(
            "LOG_RETENTION_DAYS",
            "a number of days from 1 to 24855",
            "90",
        );
        let listen = ConsumerSettings::read_listen(settings);
        Some(Self {
            endpoints: endpoints?,
            log_retention_days: retention.map(|days| days.0),
            listen,
        })
    }
}

/// Server and database of the delivery log.
#[derive(Debug)]
pub(crate) struct LogSettings {
    /// `MONGODB_URI`
    pub(crate) uri: String,
    /// `MONGODB_DATABASE`
    pub(crate) database: String,
}

impl LogSettings {
    /// Reads and validates both; faults are collected in `settings`.
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let uri = settings.required("MONGODB_URI", "mongodb://127.0.0.1:27017/?replicaSet=rs0");
        let database = settings.parsed(
            "MONGODB_DATABASE",
            "whatsapp-api".to_owned(),
            "a database name",
            "whatsapp-api",
        );
        if !uri.is_empty()
            && let Err(error) = MongoLog::check(&uri, &database)
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
        Self { uri, database }
    }
}

impl Endpoints {
    fn read(settings: &mut Settings) -> Option<Self> {
        let allowed = Allowed {
            http: settings.flag("WEBHOOK_ALLOW_HTTP", false),
            private: !settings.flag("WEBHOOK_BLOCK_PRIVATE", false),
        };
        let circuit = settings.parsed("WEBHOOK_CIRCUIT", Switch(true), "on or off", "off");
        let Some(path) = settings.text(FILE) else {
            let one = EndpointSettings::read(settings, allowed, circuit.0)?;
            return Some(Self {
                list: vec![one],
                file: None,
            });
        };
        for name in ONE_ENDPOINT {
            if settings.is_given(name) {
                let problem = format!("is set together with {FILE}: move it to that file");
                settings.fault_at(name, problem);
            }
        }
        let file = EndpointsFile {
            path: path.into(),
            allowed,
            circuit: circuit.0,
        };
        match file.read() {
            Ok(list) => Some(Self {
                list,
                file: Some(file),
            }),
            Err(faults) => {
                let path = file.path.display();
                for fault in faults {
                    settings.fault_at(&format!("{FILE}={path}"), fault.to_string());
                }
                None
            }
        }
    }
}

/// Setting for several endpoints.
const FILE: &str = "WEBHOOK_ENDPOINTS";
/// Settings of the single endpoint; invalid together with a file.
const ONE_ENDPOINT: [&str; 7] = [
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "WEBHOOK_SECRET_PREVIOUS",
    "WEBHOOK_RETRY_ATTEMPTS",
    "WEBHOOK_RETRY_DELAY",
    "WEBHOOK_TIMEOUT",
    "WEBHOOK_CONCURRENCY",
];

/// Setting with the values `on` and `off`, or common synonyms.
struct Switch(bool);

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(Self(true)),
            "off" | "false" | "no" | "0" => Ok(Self(false)),
            _ => Err("unknown value"),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "on" } else { "off" })
    }
}

/// Number of days that a TTL index can hold: it counts seconds in 31 bits.
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
    use std::time::Duration;

    use super::*;
    use wahook_domain::{CircuitRule, RetryRule};

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

    fn endpoint(settings: &ConsumerSettings) -> &EndpointSettings {
        &settings.delivery.endpoints.list[0]
    }

    #[test]
    fn the_circuit_can_be_switched_off() {
        let settings = read(&[("WEBHOOK_CIRCUIT", "off")]).unwrap();
        assert_eq!(endpoint(&settings).circuit, None);
        let refused = read(&[("WEBHOOK_CIRCUIT", "maybe")]).unwrap_err();
        assert!(refused.contains("WEBHOOK_CIRCUIT"), "{refused}");
    }

    #[test]
    fn a_single_endpoint_together_with_a_file_is_rejected() {
        let refused = read(&[
            ("WEBHOOK_ENDPOINTS", "/no/such/file.toml"),
            ("WEBHOOK_SECRET", "s"),
        ])
        .unwrap_err();
        for expected in [
            "WEBHOOK_URL is set together with WEBHOOK_ENDPOINTS",
            "WEBHOOK_SECRET is set together with WEBHOOK_ENDPOINTS",
            "/no/such/file.toml line 1: the file can't be read",
        ] {
            assert!(
                refused.contains(expected),
                "{expected} is missing in:\n{refused}"
            );
        }
    }

    #[test]
    fn three_variables_suffice_and_the_others_have_documented_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(
            endpoint(&settings).retry_rule,
            RetryRule::new(3, 5_000).unwrap()
        );
        assert_eq!(endpoint(&settings).timeout, Duration::from_secs(30));
        assert!(endpoint(&settings).secrets.is_none());
        assert_eq!(endpoint(&settings).name.as_str(), "default");
        assert_eq!(endpoint(&settings).circuit, Some(CircuitRule::default()));
        assert_eq!(settings.mongodb_database, "whatsapp-api");
        assert_eq!(settings.delivery.log_retention_days, None);
        assert_eq!(settings.delivery.listen.to_string(), "127.0.0.1:9091");
    }

    #[test]
    fn all_faults_are_reported_at_once_with_variable_and_example() {
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
    fn plain_http_needs_loopback_or_permission() {
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
    fn a_blocked_private_address_is_rejected_at_start_in_any_notation() {
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
            assert!(endpoint(&read(&public).unwrap()).block_private, "{url}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_used_but_never_shown() {
        let settings = read(&[("WEBHOOK_URL", "https://user:hunter2@example.com/hook")]).unwrap();
        assert_eq!(endpoint(&settings).url.password(), Some("hunter2"));
        assert!(!endpoint(&settings).shown_url.contains("hunter2"));
    }
}
