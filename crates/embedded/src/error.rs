//! Errors of the data file.

use std::{fmt::Display, io, path::PathBuf};

use wahook_delivery_log::LogUnavailable;
use wahook_runtime::private_file::PrivateFileError;

use crate::{damage, schema::VERSION};

/// Error while opening the data file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{0} is in use by another wahook: stop it, or set WAHOOK_DATA to another file")]
    InUse(PathBuf),
    /// The file can't be created or locked.
    #[error("{0} can't be opened: {1}; check that its folder exists and is writable")]
    Lock(PathBuf, #[source] io::Error),
    /// The file, or one next to it, is a link or belongs to another user.
    #[error("{0} can't be used: {1}")]
    NotOwn(PathBuf, #[source] PrivateFileError),
    /// Another program wrote the file.
    #[error("{0} is a SQLite file of another program: set WAHOOK_DATA to another file")]
    Foreign(PathBuf),
    /// The file is the spool of a producer.
    #[error(
        "{0} is the spool of a wahook-producer (PRODUCER_SPOOL): set WAHOOK_DATA to another file"
    )]
    Spool(PathBuf),
    /// The file is a data file, not a spool.
    #[error("{0} is the data file of a wahook (WAHOOK_DATA), not a spool")]
    NoSpool(PathBuf),
    /// The file holds events for a webhook, but no webhook is configured.
    #[error(
        "{path} holds {events} undelivered events for {urls}, but neither WEBHOOK_URL nor \
         WEBHOOK_ENDPOINTS is set, and the test receiver would swallow them: set one of the two \
         (check its spelling), or set WAHOOK_DATA to another file for a trial"
    )]
    OtherDestination {
        /// Path of the file.
        path: PathBuf,
        /// Number of queued and waiting events.
        events: u64,
        /// Webhooks of the previous process.
        urls: String,
    },
    /// The file does not exist.
    #[error("there is no file {0}: start wahook once to create it, or set WAHOOK_DATA")]
    Missing(PathBuf),
    /// The file is not a database, or an I/O error occurred.
    #[error("{0} can't be used: {1}{advice}", advice = damage::advice(.1))]
    Database(PathBuf, #[source] rusqlite::Error),
    /// A newer version of wahook wrote the file.
    #[error(
        "{path} has schema version {found}, but this wahook supports version {VERSION}: use the version that wrote it"
    )]
    Version {
        /// Path of the file.
        path: PathBuf,
        /// Schema version of the file.
        found: i64,
    },
}

impl OpenError {
    /// Creates the error of a file that can't be used.
    pub(crate) fn of_file(path: PathBuf, error: PrivateFileError) -> Self {
        match error {
            PrivateFileError::Io(error) => Self::Lock(path, error),
            error => Self::NotOwn(path, error),
        }
    }
}

/// Returns an error of the file as that of the log.
pub(crate) fn unavailable(error: impl Display) -> LogUnavailable {
    LogUnavailable::File(error.to_string())
}
