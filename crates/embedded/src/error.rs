//! Errors of the data file.

use std::{fmt::Display, io, path::PathBuf};

use wahook_delivery_log::LogUnavailable;

use crate::schema::VERSION;

/// Error while opening the data file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds the lock.
    #[error("{0} is in use by another wahook: stop it, or set WAHOOK_DATA to another file")]
    InUse(PathBuf),
    /// The file can't be created or locked.
    #[error("{0} can't be opened: {1}; check that its folder exists and is writable")]
    Lock(PathBuf, #[source] io::Error),
    /// The file does not exist.
    #[error("there is no file {0}: start wahook once to create it, or set WAHOOK_DATA")]
    Missing(PathBuf),
    /// The file is not a database, or an I/O error occurred.
    #[error("{0} can't be used: {1}")]
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

/// Returns an error of the file as that of the log.
pub(crate) fn unavailable(error: impl Display) -> LogUnavailable {
    LogUnavailable::File(error.to_string())
}
