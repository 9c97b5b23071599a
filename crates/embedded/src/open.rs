//! Opens the data file: lock, settings and schema.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};
use wahook_runtime::clock;

use crate::{
    delays,
    error::OpenError,
    file_lock::FileLock,
    files,
    identity::{self, Identity},
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

/// Free pages can be returned to the disk, in steps.
pub(crate) const GIVE_BACK_SPACE: &str = "PRAGMA auto_vacuum = INCREMENTAL;";

/// Connection to a file of wahook, or to an empty one.
struct Connected {
    db: Connection,
    /// Schema version of the file, which is not newer.
    version: i64,
    identity: Identity,
}

/// Open database with its lock. The operating system releases the lock when the process
/// ends.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) lock: FileLock,
}

/// Locks and opens the file; creates it if it does not exist, and migrates an older one.
/// Afterwards other users can't open it. A file of another program or user is unchanged.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    files::check_owner(path)?;
    let lock = FileLock::acquire(path)?;
    files::create(path)?;
    let connected = connect(path, OpenFlags::default())?;
    files::tighten(path)?;
    let db = prepare(connected).map_err(|error| OpenError::Database(path.to_owned(), error))?;
    Ok(Opened { db, lock })
}

/// Creates or migrates the tables, and marks the file.
fn prepare(connected: Connected) -> rusqlite::Result<Connection> {
    let mut db = connected.db;
    if connected.identity == Identity::New {
        // Before the first table, or it has no effect.
        db.execute_batch(GIVE_BACK_SPACE)?;
    }
    db.execute_batch(SETTINGS)?;
    if connected.version < VERSION {
        migration::migrate(&mut db)?;
    }
    db.execute_batch(ADDITIONS)?;
    delays::add_column(&db)?;
    let clamped = delays::clamp(&db, clock::now())?;
    if clamped > 0 {
        tracing::warn!(
            clamped,
            "clock was set back while stopped, due times adjusted"
        );
    }
    if connected.identity != Identity::Marked {
        identity::mark(&db)?;
    }
    Ok(db)
}

/// Opens an existing file without the lock, next to other processes. Migrates an older one,
/// unless a process has it open: that process could not use it afterwards.
pub(crate) fn open_shared(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    files::check_owner_or_root(path)?;
    let Connected { db, version, .. } = connect(path, OpenFlags::default())?;
    if version < VERSION {
        drop(db);
        return Ok(open(path)?.db);
    }
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    db.execute_batch(SETTINGS).map_err(unusable)?;
    db.execute_batch(ADDITIONS).map_err(unusable)?;
    delays::add_column(&db).map_err(unusable)?;
    Ok(db)
}

/// Opens the file read-only and without the lock, next to other processes, for its log.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Connected { db, version, .. } = connect(path, flags)?;
    if version < OLDEST_LOG_VERSION {
        let (path, found) = (path.to_owned(), version);
        return Err(OpenError::Version { path, found });
    }
    Ok(db)
}

/// Opens a connection to a file that is not newer and not of another program.
fn connect(path: &Path, flags: OpenFlags) -> Result<Connected, OpenError> {
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    let db = Connection::open_with_flags(path, flags).map_err(unusable)?;
    db.busy_timeout(BUSY_LIMIT).map_err(unusable)?;
    db.set_prepared_statement_cache_capacity(64);
    let identity = identity::of(&db).map_err(unusable)?;
    if identity == Identity::Foreign {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    let version = migration::version(&db).map_err(unusable)?;
    if version > VERSION {
        let (path, found) = (path.to_owned(), version);
        return Err(OpenError::Version { path, found });
    }
    Ok(Connected {
        db,
        version,
        identity,
    })
}
