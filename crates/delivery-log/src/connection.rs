//! The connection to MongoDB.

use std::time::Duration;

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

use crate::LogUnavailable;

/// The collection's name is part of the product: users query it by this name.
pub(crate) const COLLECTION: &str = "webhooklogs";

/// How long one command may take. A server that is frozen, or whose majority is
/// gone, answers nothing at all, so every wait has an end of its own.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Where the URI says nothing. Results wait in the broker while the log is away,
/// so it is better to know soon than to wait long.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const POOL_SIZE: u32 = 8;

/// The delivery log in MongoDB (4.4 or newer). Cheap to clone; the clones share
/// one connection pool.
#[derive(Debug, Clone)]
pub struct MongoLog {
    pub(crate) database: Database,
}

/// The settings can't be used, whatever the state of the server.
#[derive(Debug, Error)]
pub enum LogSettingsError {
    #[error("the MongoDB URI is not usable: {0}")]
    Uri(#[source] Box<ServerError>),
    #[error(
        "{0:?} is no MongoDB database name (1 to 63 bytes, none of / \\ . \" $ * < > : | ?, no space)"
    )]
    Database(String),
}

impl LogSettingsError {
    /// Whether the database's name is at fault, and not the URI.
    #[must_use]
    pub fn is_database(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

impl MongoLog {
    /// Says whether the settings can be used, without a look at any server.
    ///
    /// # Errors
    /// When the URI does not parse or the database's name is not one.
    pub fn check(uri: &str, database: &str) -> Result<(), LogSettingsError> {
        if !is_database_name(database) {
            return Err(LogSettingsError::Database(database.to_owned()));
        }
        ConnectionString::parse(uri)
            .map(drop)
            .map_err(|error| LogSettingsError::Uri(Box::new(error)))
    }

    /// Reads the settings and starts to look for the server in the background.
    ///
    /// Never waits for a server. (A `mongodb+srv` URI is resolved through DNS
    /// here, since its answer is part of the settings.) Time limits, pool size and
    /// application name in the URI win over ours; its write concern never does.
    ///
    /// # Errors
    /// When the URI does not parse or the database's name is not one.
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
        })
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// When there is none within 5 s.
    pub async fn ping(&self) -> Result<(), LogUnavailable> {
        within_limit(self.database.run_raw_command(rawdoc! { "ping": 1 })).await?;
        Ok(())
    }

    /// The collection as reads must see it: at the primary, and nothing that a
    /// change of primary could take back, whatever the URI prefers.
    pub(crate) fn confirmed_records(&self) -> Collection<RawDocumentBuf> {
        let options = CollectionOptions::builder()
            .read_concern(ReadConcern::majority())
            .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
            .build();
        self.database.collection_with_options(COLLECTION, options)
    }
}

/// Awaits one exchange with the server, no longer than [`ANSWER_LIMIT`].
pub(crate) async fn within_limit<T>(
    exchange: impl IntoFuture<Output = Result<T, ServerError>>,
) -> Result<T, LogUnavailable> {
    match tokio::time::timeout(ANSWER_LIMIT, exchange.into_future()).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(LogUnavailable::NoAnswer(ANSWER_LIMIT)),
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
    async fn unusable_settings_are_refused_and_no_server_is_waited_for() {
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
        // Nothing listens on port 1, and that is no fault of the settings.
        let log = MongoLog::connect("mongodb://127.0.0.1:1/?w=0", "whatsapp-api").await;
        assert!(log.is_ok());
    }

    #[tokio::test]
    async fn neither_an_error_nor_the_log_shows_the_password() {
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
