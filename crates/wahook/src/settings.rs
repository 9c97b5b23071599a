//! Settings of `wahook`: those of producer and consumer without broker and database, and
//! the path of the data file.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use uuid::Uuid;
use wahook_consumer::DeliverySettings;
use wahook_producer::EventServiceSettings;
use wahook_receiver::ReceiverSettings;
use wahook_runtime::Settings;

use crate::banner::reachable;

/// Variables of the commands, so that they are not reported as misspelt.
const COMMAND_VARIABLES: [&str; 2] = ["WAHOOK_URL", "WAHOOK_TOKEN"];

/// Settings of `wahook`.
#[derive(Debug)]
pub struct StandaloneSettings {
    /// Path of the data file (`WAHOOK_DATA`).
    pub data: PathBuf,
    /// Settings of the producer.
    pub intake: EventServiceSettings,
    /// Settings of the consumer.
    pub delivery: DeliverySettings,
    /// Test receiver, if no webhook is configured.
    pub receiver: Option<ReceiverSettings>,
}

impl StandaloneSettings {
    /// Reads all settings; faults are recorded in `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let data = Self::read_data(settings);
        for name in COMMAND_VARIABLES {
            settings.is_given(name);
        }
        let receiver = (!has_webhook(settings)).then(|| Self::read_receiver(settings));
        let intake = EventServiceSettings::read(settings);
        let delivery = DeliverySettings::read(settings);
        Some(Self {
            data,
            intake,
            delivery: delivery?,
            receiver: receiver.flatten(),
        })
    }

    /// Configures the test receiver as the webhook. Generates a random secret if none
    /// is set.
    fn read_receiver(settings: &mut Settings) -> Option<ReceiverSettings> {
        let secret = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        settings.assume("WEBHOOK_SECRET", secret);
        let receiver = ReceiverSettings::read(settings)?;
        let url = format!("http://{}/webhook", reachable(receiver.address.socket()));
        settings.assume("WEBHOOK_URL", url);
        Some(receiver)
    }

    /// Sets the webhook to the URL of the test receiver if none is configured. For commands
    /// that send no requests.
    pub fn assume_webhook(settings: &mut Settings) {
        if !has_webhook(settings) {
            Self::read_receiver(settings);
        }
    }

    /// Reads only the path of the data file.
    pub fn read_data(settings: &mut Settings) -> PathBuf {
        let default = DataFile(PathBuf::from("wahook.db"));
        let data = settings.parsed(
            "WAHOOK_DATA",
            default,
            "the path of a file",
            "/var/lib/wahook/wahook.db",
        );
        data.0
    }
}

fn has_webhook(settings: &mut Settings) -> bool {
    settings.is_given("WEBHOOK_URL") || settings.is_given("WEBHOOK_ENDPOINTS")
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
        assert_eq!(settings.intake.listen.to_string(), "127.0.0.1:8080");
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
    fn faults_of_all_parts_are_reported_at_once() {
        let refused = read(&[
            ("PRODUCER_LISTEN", "0.0.0.0:8080"),
            ("WEBHOOK_URL", "example.com"),
        ])
        .unwrap_err();
        for name in ["PRODUCER_TOKEN", "WEBHOOK_URL"] {
            assert!(refused.contains(name), "{refused}");
        }
    }
}
