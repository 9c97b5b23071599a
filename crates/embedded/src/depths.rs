//! Numbers of messages in a data file, for metrics.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::Connection;

use crate::{error::OpenError, open};

/// Reader of the numbers of messages, next to the process that writes them. Reads block
/// the thread.
pub struct DepthReader {
    db: Connection,
    path: PathBuf,
}

/// Numbers of messages, and size of the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depths {
    /// Messages by queue, leased ones included. Empty queues are missing.
    pub queued: Vec<(String, i64)>,
    /// Messages that enter their queue later.
    pub waiting: i64,
    /// Bytes of the file and its write-ahead log.
    pub file_bytes: u64,
}

impl DepthReader {
    /// Opens the file read-only.
    ///
    /// # Errors
    /// If the file does not exist or was not written by wahook.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            db: open::open_read_only(path)?,
            path: path.to_owned(),
        })
    }

    /// Reads the numbers.
    ///
    /// # Errors
    /// If the file can't be read.
    pub fn read(&self) -> Result<Depths, OpenError> {
        let unusable = |error| OpenError::Database(self.path.clone(), error);
        let waiting = "SELECT count(*) FROM waiting";
        Ok(Depths {
            queued: self.queued().map_err(unusable)?,
            waiting: self
                .db
                .query_row(waiting, [], |row| row.get(0))
                .map_err(unusable)?,
            file_bytes: self.file_bytes(),
        })
    }

    fn queued(&self) -> rusqlite::Result<Vec<(String, i64)>> {
        let by_queue = "SELECT queue, count(*) FROM messages GROUP BY queue";
        let mut statement = self.db.prepare_cached(by_queue)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    }

    fn file_bytes(&self) -> u64 {
        let mut log = self.path.clone().into_os_string();
        log.push("-wal");
        let size = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        size(&self.path) + size(Path::new(&log))
    }
}
