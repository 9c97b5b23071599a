//! Opens the data file: lock, settings and schema.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};
use wahook_runtime::clock;

use crate::{
    delays,
    error::OpenError,
    file_lock::FileLock,
    files,
    identity::{self, Identity, Purpose},
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

impl Connected {
    /// Refuses a file of another purpose. An empty file can have any.
    fn used_as(self, purpose: Purpose, path: &Path) -> Result<Self, OpenError> {
        match (self.identity.purpose(), purpose) {
            (Some(Purpose::Spool), Purpose::Data) => Err(OpenError::Spool(path.to_owned())),
            (Some(Purpose::Data), Purpose::Spool) => Err(OpenError::NoSpool(path.to_owned())),
            _ => Ok(self),
        }
    }
}

/// Open database with its lock. The operating system releases the lock when the process
/// ends.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    pub(crate) lock: FileLock,
}

/// Locks and opens a data file; creates it if it does not exist, and migrates an older one.
/// Afterwards other users can't open it. A file of another program, user or purpose is
/// unchanged.
pub(crate) fn open(path: &Path) -> Result<Opened, OpenError> {
    open_as(Purpose::Data, path)
}

/// Opens the file as [`open`], for this purpose.
pub(crate) fn open_as(purpose: Purpose, path: &Path) -> Result<Opened, OpenError> {
    files::check_owner(path)?;
    let lock = FileLock::acquire(path)?;
    files::create(path)?;
    let connected = connect(path, OpenFlags::default())?.used_as(purpose, path)?;
    files::tighten(path)?;
    let prepared = prepare(connected, purpose);
    let db = prepared.map_err(|error| OpenError::Database(path.to_owned(), error))?;
    Ok(Opened { db, lock })
}

/// Creates or migrates the tables, and marks the file.
fn prepare(connected: Connected, purpose: Purpose) -> rusqlite::Result<Connection> {
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
    if connected.identity != Identity::Marked(purpose) {
        identity::mark(&db, purpose)?;
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
    let connected = connect(path, OpenFlags::default())?;
    let Connected { db, version, .. } = connected.used_as(Purpose::Data, path)?;
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

/// Opens a data file read-only and without the lock, next to other processes, for its log.
pub(crate) fn open_read_only(path: &Path) -> Result<Connection, OpenError> {
    read(connect_read_only(path)?.used_as(Purpose::Data, path)?, path)
}

/// Opens a file of any purpose as [`open_read_only`].
pub(crate) fn open_any_read_only(path: &Path) -> Result<Connection, OpenError> {
    read(connect_read_only(path)?, path)
}

fn connect_read_only(path: &Path) -> Result<Connected, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    connect(path, flags)
}

/// Returns the connection, unless its file is too old to be read.
fn read(connected: Connected, path: &Path) -> Result<Connection, OpenError> {
    let Connected { db, version, .. } = connected;
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
