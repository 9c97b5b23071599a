//! Settings of `wahook`: those of producer and consumer without broker and database, and
//! the path of the data file.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use uuid::Uuid;
use wahook_console::ConsoleSettings;
use wahook_consumer::{DeliverySettings, WEBHOOK_ENDPOINTS, WEBHOOK_URL};
use wahook_domain::BodyForm;
use wahook_embedded::Destination;
use wahook_producer::{EventServiceSettings, SpoolSettings};
use wahook_receiver::{RECEIVER_ADDRESS, ReceiverSettings};
use wahook_runtime::{
    Setting, Settings, program,
    settings::{
        DefaultValue, Kind,
        shared::{AMQP_URL, MONGODB_DATABASE, MONGODB_URI, WEBHOOK_SECRET},
    },
};
use wahook_traces::TraceSettings;

use crate::banner::reachable;

/// Settings of the running `wahook`.
pub const PROGRAM_SETTINGS: &[&[Setting]] = &[
    SETTINGS,
    &[
        Setting {
            default: DefaultValue::None,
            help: "URL that receives the events; without it and WEBHOOK_ENDPOINTS, a test receiver \
                with a web page",
            ..WEBHOOK_URL
        },
        Setting {
            help: "address and port of the test receiver",
            ..RECEIVER_ADDRESS
        },
    ],
    wahook_consumer::SETTINGS,
    wahook_producer::SETTINGS,
    wahook_console::SETTINGS,
    wahook_traces::SETTINGS,
    program::SETTINGS,
];

/// Settings of the commands of `wahook`.
pub const COMMAND_SETTINGS: &[&[Setting]] = &[
    wahook_cli::SETTINGS,
    &[
        Setting {
            default: DefaultValue::None,
            help: "broker for export",
            ..AMQP_URL
        },
        Setting {
            default: DefaultValue::None,
            help: "MongoDB server for export, tail and stats (tail and stats read WAHOOK_DATA \
                without it)",
            ..MONGODB_URI
        },
        MONGODB_DATABASE,
    ],
];

/// Settings of `wahook` in addition to those of the other programs.
pub const SETTINGS: &[Setting] = &[WAHOOK_DATA];

const WAHOOK_DATA: Setting = Setting {
    name: "WAHOOK_DATA",
    kind: Kind::Path,
    default: DefaultValue::Text("wahook.db"),
    example: "/var/lib/wahook/wahook.db",
    help: "data file",
    meaning: "the SQLite file with all data",
};

/// Settings of `wahook`.
#[derive(Debug)]
pub struct StandaloneSettings {
    /// Path of the data file (`WAHOOK_DATA`).
    pub data: PathBuf,
    /// Settings of the producer.
    pub producer: EventServiceSettings,
    /// Settings of the consumer.
    pub delivery: DeliverySettings,
    /// Settings of the console; `None` if it is off.
    pub console: Option<ConsoleSettings>,
    /// Test receiver, if no webhook is configured.
    pub receiver: Option<ReceiverSettings>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and its companions.
    pub traces: TraceSettings,
}

impl StandaloneSettings {
    /// Reads all settings; faults are recorded in `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let data = Self::read_data(settings);
        // So that they are not reported as misspelt.
        for setting in COMMAND_SETTINGS.iter().copied().flatten() {
            settings.is_given(setting);
        }
        let receiver = (!has_webhook(settings)).then(|| Self::read_receiver(settings));
        SpoolSettings::refuse(settings);
        let producer = EventServiceSettings::read(settings);
        let delivery = DeliverySettings::read(settings);
        let console = ConsoleSettings::read_optional(settings);
        let traces = TraceSettings::read(settings);
        let (mut producer, delivery) = (producer?, delivery?);
        let mut endpoints = delivery.endpoints.list.iter();
        producer.keep_exact |= endpoints.any(|endpoint| endpoint.body == BodyForm::Exact);
        Some(Self {
            data: data?,
            producer,
            delivery,
            console: console?,
            receiver: receiver.flatten(),
            traces,
        })
    }

    /// Configures the test receiver as the webhook. Generates a random secret if none
    /// is set.
    fn read_receiver(settings: &mut Settings) -> Option<ReceiverSettings> {
        let secret = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        settings.assume(&WEBHOOK_SECRET, secret);
        let receiver = ReceiverSettings::read(settings)?;
        let url = format!("http://{}/webhook", reachable(receiver.address.socket()));
        settings.assume(&WEBHOOK_URL, url);
        Some(receiver)
    }

    /// Sets the webhook to the URL of the test receiver if none is configured. For commands
    /// that send no requests.
    pub fn assume_webhook(settings: &mut Settings) {
        if !has_webhook(settings) {
            Self::read_receiver(settings);
        }
    }

    /// Returns where all events are delivered.
    pub(crate) fn destination(&self) -> Destination {
        let urls = self.delivery.endpoints.list.iter();
        let urls: Vec<_> = urls
            .map(|endpoint| endpoint.shown_url.to_string())
            .collect();
        match &self.receiver {
            Some(_) => Destination::TestReceiver(urls.join(", ")),
            None => Destination::Webhooks(urls),
        }
    }

    /// Reads only the path of the data file.
    pub fn read_data(settings: &mut Settings) -> Option<PathBuf> {
        settings.value(&WAHOOK_DATA).map(|DataFile(path)| path)
    }
}

fn has_webhook(settings: &mut Settings) -> bool {
    settings.is_given(&WEBHOOK_URL) || settings.is_given(&WEBHOOK_ENDPOINTS)
}

struct DataFile(PathBuf);

impl FromStr for DataFile {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(PathBuf::from(text)))
    }
}

impl fmt::Display for DataFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<StandaloneSettings, String> {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let read = StandaloneSettings::read(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read.unwrap())
    }

    #[test]
    fn webhook_url_is_sufficient_without_broker_and_database() {
        let settings = read(&[("WEBHOOK_URL", "https://example.com/hook")]).unwrap();
        assert_eq!(settings.data, PathBuf::from("wahook.db"));
        assert_eq!(settings.producer.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.delivery.listen.to_string(), "127.0.0.1:9091");
    }

    #[test]
    fn test_receiver_with_secret_is_the_webhook_if_none_is_configured() {
        let settings = read(&[("RECEIVER_ADDRESS", "127.0.0.1:4444")]).unwrap();
        let endpoint = &settings.delivery.endpoints.list[0];
        assert_eq!(&*endpoint.shown_url, "http://127.0.0.1:4444/webhook");
        assert!(settings.receiver.unwrap().keys.is_some());
        let other = read(&[("WEBHOOK_URL", "https://example.com/hook")]).unwrap();
        assert!(other.receiver.is_none());
    }

    #[test]
    fn bodies_are_kept_as_sent_if_an_endpoint_receives_them_or_the_setting_says_so() {
        let url = ("WEBHOOK_URL", "https://example.com/hook");
        let keeps = |pairs: &[_]| read(pairs).unwrap().producer.keep_exact;
        assert!(!keeps(&[url]));
        assert!(keeps(&[url, ("WEBHOOK_BODY", "exact")]));
        assert!(keeps(&[url, ("PRODUCER_KEEP_EXACT", "true")]));
        assert!(read(&[url, ("WEBHOOK_BODY", "raw")]).is_err());
    }

    #[test]
    fn spool_of_a_producer_is_refused() {
        let refused = read(&[("PRODUCER_SPOOL", "spool.db")]).unwrap_err();
        assert!(refused.contains("PRODUCER_SPOOL"), "{refused}");
        assert!(refused.contains("data file"), "{refused}");
    }

    #[test]
    fn faults_of_all_parts_are_reported_at_once() {
        let refused = read(&[
            ("PRODUCER_LISTEN", "0.0.0.0:8080"),
            ("WEBHOOK_URL", "example.com"),
            ("CONSOLE_LISTEN", "0.0.0.0:8090"),
        ])
        .unwrap_err();
        for name in ["PRODUCER_TOKEN", "WEBHOOK_URL", "CONSOLE_TOKEN"] {
            assert!(refused.contains(name), "{refused}");
        }
    }
}
