//! The settings: those of producer and consumer, without broker and database, and where the
//! data is.

use std::{convert::Infallible, fmt, path::PathBuf, str::FromStr};

use wahook_consumer::DeliverySettings;
use wahook_producer::IntakeSettings;
use wahook_service::Settings;

/// Everything that the program is told.
#[derive(Debug)]
pub struct StandaloneSettings {
    /// `WAHOOK_DATA`
    pub data: PathBuf,
    /// What is taken from whom.
    pub intake: IntakeSettings,
    /// What is delivered to whom.
    pub delivery: DeliverySettings,
}

impl StandaloneSettings {
    /// Reads everything; faults are noted in `settings`, and then there is no
    /// result.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let data = Self::read_data(settings);
        let intake = IntakeSettings::read(settings);
        let delivery = DeliverySettings::read(settings);
        Some(Self {
            data,
            intake,
            delivery: delivery?,
        })
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
    fn the_faults_of_all_parts_are_named_at_once() {
        let refused = read(&[("PRODUCER_LISTEN", "0.0.0.0:8080")]).unwrap_err();
        for name in ["PRODUCER_TOKEN", "WEBHOOK_URL"] {
            assert!(refused.contains(name), "{refused}");
        }
    }
}
