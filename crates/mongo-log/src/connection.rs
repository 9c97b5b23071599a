//! Connects to MongoDB.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client, Collection, Database,
    bson::{RawDocumentBuf, rawdoc},
    error::Error as ServerError,
    options::{
        ClientOptions, CollectionOptions, ConnectionString, ReadConcern, ReadPreference,
        SelectionCriteria,
    },
};
use thiserror::Error;
use wahook_delivery_log::LogUnavailable;
use wahook_domain::Redaction;

/// Name of the collection. Users query it, so the name is part of the public contract.
pub(crate) const COLLECTION: &str = "webhooklogs";

/// Time limit of one command. A frozen server, or one without a majority, never
/// replies, so every wait has its own limit.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Default connect timeout, if the URI has none. Results wait in the broker while the
/// log is unavailable, so a short timeout is better.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Default pool size, if the URI has none.
const POOL_SIZE: u32 = 8;

/// Delivery log in MongoDB 4.4 or newer. Cheap to clone; clones share one
/// connection pool.
#[derive(Debug, Clone)]
pub struct MongoLog {
    pub(crate) database: Database,
    /// Values that records do not keep.
    pub(crate) redaction: Option<Arc<Redaction>>,
}

/// Invalid settings, independent of the server's state.
#[derive(Debug, Error)]
pub enum LogSettingsError {
    #[error("invalid MongoDB URI: {0}")]
    Uri(#[source] Box<ServerError>),
    #[error(
        "{0:?} is not a MongoDB database name (1 to 63 bytes, none of / \\ . \" $ * < > : | ?, no space)"
    )]
    Database(String),
}

impl MongoLog {
    /// Validates the settings without connecting.
    ///
    /// # Errors
    /// If the URI or the database name is invalid.
    pub(crate) fn check(uri: &str, database: &str) -> Result<(), LogSettingsError> {
        if !is_database_name(database) {
            return Err(LogSettingsError::Database(database.to_owned()));
        }
        ConnectionString::parse(uri)
            .map(drop)
            .map_err(|error| LogSettingsError::Uri(Box::new(error)))
    }

    /// Validates the settings and starts connecting in the background.
    ///
    /// Never waits for a server. A `mongodb+srv` URI is resolved through DNS here,
    /// because the DNS reply is part of the settings. Timeouts, pool size and
    /// application name of the URI override the defaults; its write concern is ignored.
    ///
    /// # Errors
    /// If the URI or the database name is invalid.
    pub async fn connect(uri: &str, database: &str) -> Result<Self, LogSettingsError> {
        if !is_database_name(database) {
            return Err(LogSettingsError::Database(database.to_owned()));
        }
        let unusable = |error: ServerError| LogSettingsError::Uri(Box::new(error));
        let mut options = ClientOptions::parse(uri).await.map_err(unusable)?;
        options.app_name.get_or_insert_with(|| "wahook".to_owned());
        options.connect_timeout.get_or_insert(CONNECT_LIMIT);
        options
            .server_selection_timeout
            .get_or_insert(CONNECT_LIMIT);
        options.max_pool_size.get_or_insert(POOL_SIZE);
        options.write_concern = None;
        let client = Client::with_options(options).map_err(unusable)?;
        Ok(Self {
            database: client.database(database),
            redaction: None,
        })
    }

    /// Sets the values that new records do not keep.
    #[must_use]
    pub fn redacting(self, redaction: Option<Redaction>) -> Self {
        let redaction = redaction.map(Arc::new);
        Self { redaction, ..self }
    }

    /// Pings the server.
    ///
    /// # Errors
    /// If it does not reply within 5 s.
    pub async fn ping(&self) -> Result<(), LogUnavailable> {
        within_limit(self.database.run_raw_command(rawdoc! { "ping": 1 })).await?;
        Ok(())
    }

    /// Returns the collection for reads from the primary with read concern `majority`,
    /// so that no failover rolls back what was read. Overrides the URI.
    pub(crate) fn confirmed_records(&self) -> Collection<RawDocumentBuf> {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        self.database.collection_with_options(COLLECTION, options)
    }
}

/// Awaits one exchange with the server, for at most [`ANSWER_LIMIT`].
pub(crate) async fn within_limit<T>(
    exchange: impl IntoFuture<Output = Result<T, ServerError>>,
) -> Result<T, LogUnavailable> {
    match tokio::time::timeout(ANSWER_LIMIT, exchange.into_future()).await {
        Ok(answer) => answer.map_err(unavailable),
        Err(_) => Err(LogUnavailable::NoAnswer(ANSWER_LIMIT)),
    }
}

/// Returns an error of the driver as that of the log.
pub(crate) fn unavailable(error: ServerError) -> LogUnavailable {
    LogUnavailable::Server(Box::new(error))
}

/// Returns the driver's error inside one of the log.
pub(crate) fn server_error(error: &LogUnavailable) -> Option<&ServerError> {
    match error {
        LogUnavailable::Server(error) => error.downcast_ref(),
        _ => None,
    }
}

fn is_database_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && !name.contains(|c: char| c == '\0' || r#"/\. "$*<>:|?"#.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn invalid_settings_are_rejected_without_waiting_for_a_server() {
        for uri in [
            "",
            "localhost",
            "http://localhost",
            "mongodb://",
            "mongodb://h:port",
        ] {
            let refused = MongoLog::connect(uri, "whatsapp-api").await;
            assert!(matches!(refused, Err(LogSettingsError::Uri(_))), "{uri}");
        }
        for name in ["", "a.b", "a b", "$a", "a/b", &"x".repeat(64)] {
            let refused = MongoLog::connect("mongodb://localhost", name).await;
            assert!(
                matches!(refused, Err(LogSettingsError::Database(_))),
                "{name}"
            );
        }
        // Nothing listens on port 1, but the settings are valid.
        let log = MongoLog::connect("mongodb://127.0.0.1:1/?w=0", "whatsapp-api").await;
        assert!(log.is_ok());
    }

    #[tokio::test]
    async fn password_is_shown_neither_in_errors_nor_in_debug_output() {
        let uri = "mongodb://user:hunter2@ss@localhost:port/?w=majority";
        let error = MongoLog::connect(uri, "whatsapp-api").await.unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
        let uri = "mongodb://user:hunter2@127.0.0.1:1/";
        let log = MongoLog::connect(uri, "whatsapp-api").await.unwrap();
        assert!(!format!("{log:?}").contains("hunter2"), "{log:?}");
    }
}
