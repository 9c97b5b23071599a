//! Opens the data file: lock, settings and schema.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use crate::file_lock::FileLock;

/// Version of the schema. Files with a newer version are rejected.
const SCHEMA_VERSION: i64 = 1;
/// Time limit for waiting until another process (a shell, the command `dead`) has written.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// Settings of a connection. `synchronous=FULL` syncs the write-ahead log at each commit,
/// which makes the commit durable. A checkpoint every 4,000 pages (16 MB) costs less than
/// SQLite's default of 1,000.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16384;
    PRAGMA temp_store = MEMORY;";

/// Schema of the file. Times are milliseconds since 1970. `webhooklogs` has the field
/// names of the MongoDB collection, so that queries look the same.
const SCHEMA: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS messages (
        seq INTEGER PRIMARY KEY,
        queue TEXT NOT NULL,
        deliveries INTEGER NOT NULL DEFAULT 0,
        event_id TEXT,
        event TEXT,
        properties TEXT NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS messages_by_queue ON messages (queue, seq);
    CREATE TABLE IF NOT EXISTS waiting (
        id INTEGER PRIMARY KEY,
        due_at INTEGER NOT NULL,
        queue TEXT NOT NULL,
        event_id TEXT,
        event TEXT,
        properties TEXT NOT NULL,
        body BLOB NOT NULL
    );
    CREATE INDEX IF NOT EXISTS waiting_by_time ON waiting (due_at);
    CREATE TABLE IF NOT EXISTS webhooklogs (
        _id TEXT PRIMARY KEY,
        event TEXT NOT NULL,
        payload TEXT NOT NULL,
        webhookUrl TEXT NOT NULL,
        status TEXT NOT NULL,
        statusCode INTEGER,
        retryCount INTEGER NOT NULL,
        errorMessage TEXT,
        createdAt INTEGER NOT NULL,
        updatedAt INTEGER NOT NULL,
        lastRetryAt INTEGER,
        completedAt INTEGER,
        nextAttemptAt INTEGER,
        eventId TEXT NOT NULL,
        endpoint TEXT NOT NULL,
        attempts TEXT NOT NULL,
        timestamp TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS webhooklogs_by_time ON webhooklogs (createdAt);
    CREATE INDEX IF NOT EXISTS webhooklogs_by_status ON webhooklogs (status, createdAt);
    CREATE INDEX IF NOT EXISTS webhooklogs_by_event ON webhooklogs (event, createdAt);
    PRAGMA user_version = 1;
    COMMIT;";

/// Optional additions, which files of earlier versions lack.
const ADDITIONS: &str = "
    CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS webhooklogs_by_end ON webhooklogs (completedAt)
    WHERE completedAt IS NOT NULL;";

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
        "{path} has schema version {found}, but this wahook supports version {SCHEMA_VERSION}: use the version that wrote it"
    )]
    Version {
        /// Path of the file.
        path: PathBuf,
        /// Schema version of the file.
        found: i64,
    },
}

/// Open database with its lock. The operating system releases the lock when the process
/// ends.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) lock: FileLock,
}

/// Locks and opens the file; creates it if it does not exist.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let lock = FileLock::acquire(path)?;
    let db = connect(path)?;
    Ok(Opened { db, lock })
}

/// Opens the file without the lock, next to other processes.
pub(crate) fn connect(path: &Path) -> Result<Connection, OpenError> {
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    let db = Connection::open(path).map_err(unusable)?;
    db.busy_timeout(BUSY_LIMIT).map_err(unusable)?;
    let found: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(unusable)?;
    if found > SCHEMA_VERSION {
        let path = path.to_owned();
        return Err(OpenError::Version { path, found });
    }
    db.execute_batch(SETTINGS).map_err(unusable)?;
    if found < SCHEMA_VERSION {
        db.execute_batch(SCHEMA).map_err(unusable)?;
    }
    db.execute_batch(ADDITIONS).map_err(unusable)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Opens the file read-only and without the lock, next to other processes.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(unusable)?;
    db.busy_timeout(BUSY_LIMIT).map_err(unusable)?;
    let found: i64 = db
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .map_err(unusable)?;
    if found != SCHEMA_VERSION {
        let path = path.to_owned();
        return Err(OpenError::Version { path, found });
    }
    Ok(db)
}
