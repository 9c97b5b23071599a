//! The settings: those of producer and consumer, without broker and database, and where the
//! data is.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use uuid::Uuid;
use wahook_consumer::DeliverySettings;
use wahook_producer::EventServiceSettings;
use wahook_receiver::ReceiverSettings;
use wahook_runtime::Settings;

use crate::banner::reachable;

/// What the commands read, which is no misspelling where the program runs.
const OF_COMMANDS: [&str; 2] = ["WAHOOK_URL", "WAHOOK_TOKEN"];

/// Everything that the program is told.
#[derive(Debug)]
pub struct StandaloneSettings {
    /// `WAHOOK_DATA`
    pub data: PathBuf,
    /// What is taken from whom.
    pub intake: EventServiceSettings,
    /// What is delivered to whom.
    pub delivery: DeliverySettings,
    /// The test receiver, where there is no other webhook.
    pub receiver: Option<ReceiverSettings>,
}

impl StandaloneSettings {
    /// Reads everything; faults are noted in `settings`, and then there is no
    /// result.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let data = Self::read_data(settings);
        for name in OF_COMMANDS {
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

    /// Makes the test receiver the webhook. Without a secret that somebody else
    /// verifies with, one that nobody knows does.
    fn read_receiver(settings: &mut Settings) -> Option<ReceiverSettings> {
        let secret = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        settings.assume("WEBHOOK_SECRET", secret);
        let receiver = ReceiverSettings::read(settings)?;
        let url = format!("http://{}/webhook", reachable(receiver.address.socket()));
        settings.assume("WEBHOOK_URL", url);
        Some(receiver)
    }

    /// Where there is no webhook, makes it the test receiver, whether there is one or not: for
    /// commands that send it nothing.
    pub fn assume_webhook(settings: &mut Settings) {
        if !has_webhook(settings) {
            Self::read_receiver(settings);
        }
    }

    /// Reads only where the data is.
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
    fn a_webhook_is_enough_and_neither_broker_nor_database_is_asked_for() {
        let settings = read(&[("WEBHOOK_URL", "https://example.com/hook")]).unwrap();
        assert_eq!(settings.data, PathBuf::from("wahook.db"));
        assert_eq!(settings.intake.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.delivery.listen.to_string(), "127.0.0.1:9091");
    }

    #[test]
    fn without_a_webhook_the_test_receiver_is_the_webhook_and_has_the_secret() {
        let settings = read(&[("RECEIVER_ADDRESS", "127.0.0.1:4444")]).unwrap();
        let endpoint = &settings.delivery.endpoints.list[0];
        assert_eq!(&*endpoint.shown_url, "http://127.0.0.1:4444/webhook");
        assert!(settings.receiver.unwrap().keys.is_some());
        let other = read(&[("WEBHOOK_URL", "https://example.com/hook")]).unwrap();
        assert!(other.receiver.is_none());
    }

    #[test]
    fn the_faults_of_all_parts_are_named_at_once() {
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
