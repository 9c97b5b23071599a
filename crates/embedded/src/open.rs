//! Opens the data file: lock, settings and schema.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use crate::{
    error::OpenError,
    file_lock::FileLock,
    migration,
    schema::{ADDITIONS, OLDEST_LOG_VERSION, VERSION},
};

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

/// Open database with its lock. The operating system releases the lock when the process
/// ends.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) lock: FileLock,
}

/// Locks and opens the file; creates it if it does not exist, and migrates an older one.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    let lock = FileLock::acquire(path)?;
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    let (mut db, found) = connect(path, OpenFlags::default())?;
    db.execute_batch(SETTINGS).map_err(unusable)?;
    if found < VERSION {
        migration::migrate(&mut db).map_err(unusable)?;
    }
    db.execute_batch(ADDITIONS).map_err(unusable)?;
    Ok(Opened { db, lock })
}

/// Opens an existing file without the lock, next to other processes. Migrates an older one,
/// unless a process has it open: that process could not use it afterwards.
pub(crate) fn open_shared(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let (db, found) = connect(path, OpenFlags::default())?;
    if found < VERSION {
        drop(db);
        return Ok(open(path)?.db);
    }
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    db.execute_batch(SETTINGS).map_err(unusable)?;
    db.execute_batch(ADDITIONS).map_err(unusable)?;
    Ok(db)
}

/// Opens the file read-only and without the lock, next to other processes, for its log.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let (db, found) = connect(path, flags)?;
    if found < OLDEST_LOG_VERSION {
        let path = path.to_owned();
        return Err(OpenError::Version { path, found });
    }
    Ok(db)
}

/// Opens a connection and returns the schema version of the file, which is not newer.
fn connect(path: &Path, flags: OpenFlags) -> Result<(Connection, i64), OpenError> {
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    let db = Connection::open_with_flags(path, flags).map_err(unusable)?;
    db.busy_timeout(BUSY_LIMIT).map_err(unusable)?;
    db.set_prepared_statement_cache_capacity(64);
    let found = migration::version(&db).map_err(unusable)?;
    if found > VERSION {
        let path = path.to_owned();
        return Err(OpenError::Version { path, found });
    }
    Ok((db, found))
}
