//! Settings of the log.

use thiserror::Error;
use wahook_delivery_log::LogUnavailable;
use wahook_runtime::{
    Settings,
    settings::shared::{MONGODB_DATABASE, MONGODB_URI},
};

use crate::{LogSettingsError, MongoLog};

/// Location of the delivery log.
#[derive(Debug)]
pub struct LogSettings {
    /// `MONGODB_URI`
    pub uri: String,
    /// `MONGODB_DATABASE`
    pub database: String,
}

/// Error while opening the log.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Settings(#[from] LogSettingsError),
    #[error(transparent)]
    Unavailable(#[from] LogUnavailable),
}

impl LogSettings {
    /// Reads and validates both settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let uri: Option<String> = settings.value(&MONGODB_URI);
        let database: Option<String> = settings.value(&MONGODB_DATABASE);
        let (uri, database) = (uri?, database?);
        if let Err(error) = MongoLog::check(&uri, &database) {
            let faulty = match error {
                LogSettingsError::Database(_) => &MONGODB_DATABASE,
                LogSettingsError::Uri(_) => &MONGODB_URI,
            };
            settings.fault(faulty, error.to_string());
        }
        Some(Self { uri, database })
    }

    /// Starts connecting in the background; see [`MongoLog::connect`].
    ///
    /// # Errors
    /// If the URI or the database name is invalid.
    pub async fn connect(&self) -> Result<MongoLog, LogSettingsError> {
        MongoLog::connect(&self.uri, &self.database).await
    }

    /// Connects, and pings the server.
    ///
    /// # Errors
    /// If the URI or the database name is invalid, or the server is unavailable.
    pub async fn open(&self) -> Result<MongoLog, OpenError> {
        let log = self.connect().await?;
        log.ping().await?;
        Ok(log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<LogSettings, String> {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let read = LogSettings::read(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read.unwrap())
    }

    #[test]
    fn fault_names_its_variable() {
        let uri = ("MONGODB_URI", "mongodb://127.0.0.1");
        assert_eq!(read(&[uri]).unwrap().database, "whatsapp-api");
        let missing = read(&[]).unwrap_err();
        assert!(missing.contains("MONGODB_URI"), "{missing}");
        let refused = read(&[("MONGODB_URI", "localhost")]).unwrap_err();
        assert!(refused.contains("MONGODB_URI"), "{refused}");
        let refused = read(&[uri, ("MONGODB_DATABASE", "a.b")]).unwrap_err();
        assert!(refused.contains("MONGODB_DATABASE"), "{refused}");
        assert!(!refused.contains("MONGODB_URI"), "{refused}");
    }
}
