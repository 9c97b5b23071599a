//! Opening the file: who may, and what must be in it.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

/// The version of the tables below. A file of another one is left alone.
const SCHEMA_VERSION: i64 = 1;
/// How long another program that writes to the file (a shell, a `dead` command) is waited
/// for.
const BUSY_LIMIT: Duration = Duration::from_secs(5);

/// `synchronous=FULL` syncs the write-ahead log at each commit, which is what makes a commit
/// durable. A checkpoint every 4,000 pages (16 MB) costs less than SQLite's usual 1,000.
const SETTINGS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 4000;
    PRAGMA journal_size_limit = 67108864;
    PRAGMA cache_size = -16384;
    PRAGMA temp_store = MEMORY;";

/// Times are milliseconds since 1970. Names in `webhooklogs` are those of the MongoDB
/// collection, so that one question is asked in the same words of both.
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

/// What a file of an earlier program may not have, and can do without.
const LATER: &str = "
    CREATE TABLE IF NOT EXISTS queues (name TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS webhooklogs_by_end ON webhooklogs (completedAt)
    WHERE completedAt IS NOT NULL;";

/// Why the file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{0} is in use by another wahook: stop that one, or name another file with WAHOOK_DATA"
    )]
    InUse(PathBuf),
    /// It can't be made or locked.
    #[error("{0} can't be opened: {1} (is its folder there, and may this user write to it?)")]
    Lock(PathBuf, #[source] io::Error),
    /// There is nothing yet.
    #[error("there is no file {0}: start wahook once, or name its file with WAHOOK_DATA")]
    Missing(PathBuf),
    /// It is no database, or the disk refuses.
    #[error("{0} can't be used: {1}")]
    Database(PathBuf, #[source] rusqlite::Error),
    /// A newer program has written it.
    #[error(
        "{path} has tables of version {found}, and this program knows version {SCHEMA_VERSION}: use the program that wrote it"
    )]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
    },
}

/// The file, and the lock that keeps others from it. The lock ends with the process,
/// however that ends.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) lock: File,
}

/// Opens the file, or makes it.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let lock = lock(path)?;
    let db = connect(path)?;
    Ok(Opened { db, lock })
}

/// Opens the file beside whoever has it, as a shell would.
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
    db.execute_batch(LATER).map_err(unusable)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Opens the file for reading alone, beside whoever has it.
pub(crate) fn look(path: &Path) -> Result<Connection, OpenError> {
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

/// The lock is on a file of its own: SQLite has locks on the database itself, and drops
/// them when any handle of the process to it is closed.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let refused = |error| OpenError::Lock(path.to_owned(), error);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&name)
        .map_err(refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(refused(error)),
    }
}
