//! Migration of `tests/data/wahook-v1.db`, which a program of version 1 wrote, and of
//! `wahook-v2.db`, the same file after its migration by a program of version 2.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{
    Contents, EmbeddedReader, FoundMessage, MessageTable, OpenError, Position, file_lock::FileLock,
    open, open_dead_letters,
};

mod expected;
mod version_3;

use expected::{expected_queued, expected_waiting};

const VERSION_1: &[u8] = include_bytes!("../../tests/data/wahook-v1.db");
const VERSION_2: &[u8] = include_bytes!("../../tests/data/wahook-v2.db");

/// Copy of the fixture in a folder of its own.
struct Copy(PathBuf);

impl Copy {
    fn new(name: &str) -> Self {
        Self::of(VERSION_1, name)
    }

    fn of(fixture: &[u8], name: &str) -> Self {
        let name = format!("wahook-migration-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        let copy = Self(folder);
        fs::write(copy.path(), fixture).unwrap();
        copy
    }

    fn path(&self) -> PathBuf {
        self.0.join("wahook.db")
    }

    fn version(&self) -> i64 {
        version(&Connection::open(self.path()).unwrap()).unwrap()
    }

    fn all(&self) -> [Vec<FoundMessage>; 2] {
        let contents = Contents::open(&self.path()).unwrap();
        [MessageTable::Queued, MessageTable::Waiting]
            .map(|table| contents.next(table, Position::START, 100).unwrap())
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn messages_of_version_1_have_the_same_metadata_queue_and_body() {
    let copy = Copy::new("equal");
    let bodies = |query: &str| -> Vec<Vec<u8>> {
        let db = Connection::open(copy.path()).unwrap();
        let mut statement = db.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let queued = bodies("SELECT body FROM messages ORDER BY seq");
    let waiting = bodies("SELECT body FROM waiting ORDER BY due_at");
    // The second time the file has the new version.
    for _ in 0..2 {
        let all = copy.all();
        let found = all.each_ref().map(|found| {
            let each = found.iter();
            each.map(|f| (f.queue.as_str(), f.message.metadata.clone()))
                .collect::<Vec<_>>()
        });
        assert_eq!(found, [expected_queued(), expected_waiting()]);
        let found = all.each_ref().map(|found| {
            let each = found.iter();
            each.map(|f| f.message.payload.to_vec()).collect::<Vec<_>>()
        });
        assert_eq!(found, [queued.clone(), waiting.clone()]);
        let due = all[1].iter().map(|found| found.due_at.unwrap().get());
        let expected = [1_795_887_008_550, 1_795_887_008_558, 1_795_887_008_692];
        assert_eq!(due.collect::<Vec<_>>(), expected);
        assert_eq!(copy.version(), schema::VERSION);
    }
}

#[test]
fn messages_and_records_of_version_2_are_kept_and_have_no_origin() {
    let copy = Copy::of(VERSION_2, "second");
    assert_eq!(copy.version(), 2);
    let found = copy.all().map(|found| {
        let each = found.into_iter();
        each.map(|f| (f.queue, f.message.metadata))
            .collect::<Vec<_>>()
    });
    let expected = [expected_queued(), expected_waiting()].map(|all| {
        let each = all.into_iter();
        each.map(|(queue, metadata)| (queue.to_owned(), metadata))
            .collect::<Vec<_>>()
    });
    assert_eq!(found, expected);
    assert_eq!(copy.version(), schema::VERSION);
    let records = Contents::open(&copy.path()).unwrap();
    let records = records.records("", UnixMillis::new(0), 100).unwrap();
    assert_eq!(records.len(), 11);
    for record in records {
        assert!(record.results.unwrap().iter().all(|r| r.origin.is_none()));
    }
}

#[test]
fn deliveries_and_log_records_are_kept() {
    let copy = Copy::new("kept");
    let db = Connection::open(copy.path()).unwrap();
    db.execute("UPDATE messages SET deliveries = 7 WHERE seq = 28", [])
        .unwrap();
    drop(db);
    let db = open::open(&copy.path()).unwrap().db;
    let counts = "SELECT (SELECT deliveries FROM messages WHERE seq = 28), \
                  (SELECT sum(deliveries) FROM messages), (SELECT count(*) FROM webhooklogs), \
                  (SELECT count(*) FROM sqlite_schema WHERE name LIKE '%_v1')";
    let counts: [i64; 4] = db
        .query_row(counts, [], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?])
        })
        .unwrap();
    assert_eq!(counts, [7, 7, 11, 0]);
}

/// Copies the files of a process in the middle of a migration, as a crash leaves them.
#[test]
fn a_crash_during_the_migration_leaves_version_1_intact() {
    let (copy, crashed) = (Copy::new("crashing"), Copy::new("crashed"));
    let mut db = Connection::open(copy.path()).unwrap();
    let transaction = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    rewrite(&transaction).unwrap();
    transaction.cache_flush().unwrap();
    let with_suffix = |path: &Path, suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    for suffix in ["", "-wal"] {
        let from = with_suffix(&copy.path(), suffix);
        fs::copy(from, with_suffix(&crashed.path(), suffix)).unwrap();
    }
    let log = fs::metadata(with_suffix(&crashed.path(), "-wal")).unwrap();
    assert!(log.len() > 0);
    assert_eq!(crashed.version(), 1);
    let [queued, waiting] = crashed.all();
    assert_eq!((queued.len(), waiting.len()), (8, 3));
}

#[test]
fn an_error_during_the_migration_leaves_version_1_intact() {
    let copy = Copy::new("failed");
    let db = Connection::open(copy.path()).unwrap();
    let change = |properties: &str| {
        let query = format!("UPDATE waiting SET properties = {properties} WHERE id = 3");
        assert_eq!(db.execute(&query, []).unwrap(), 1);
    };
    change("x'00'");
    let failed = open::open(&copy.path()).map(drop);
    assert!(matches!(failed, Err(OpenError::Database(..))), "{failed:?}");
    assert_eq!(copy.version(), 1);
    change("'{'");
    let [_, waiting] = copy.all();
    // Undecodable, so that its consumer dead-letters it.
    let unreadable = &waiting[2].message;
    assert!(unreadable.metadata.id.is_some());
    assert!(unreadable.content().is_err());
}

#[test]
fn a_file_that_an_older_process_has_open_is_not_migrated() {
    let copy = Copy::new("open");
    let lock = FileLock::acquire(&copy.path()).unwrap();
    let refused = open_dead_letters(&copy.path()).map(drop);
    assert!(matches!(refused, Err(OpenError::InUse(_))), "{refused:?}");
    assert!(EmbeddedReader::open(&copy.path()).is_ok());
    assert_eq!(copy.version(), 1);
    drop(lock);
    assert!(open_dead_letters(&copy.path()).is_ok());
    assert_eq!(copy.version(), schema::VERSION);
    // The lock was held for the migration only.
    assert!(FileLock::acquire(&copy.path()).is_ok());
}

#[test]
fn a_newer_file_is_refused() {
    let copy = Copy::new("newer");
    let db = Connection::open(copy.path()).unwrap();
    db.execute_batch("PRAGMA user_version = 7").unwrap();
    drop(db);
    let refused = open::open(&copy.path()).map(drop).unwrap_err();
    let text = "has schema version 7, but this wahook supports version 6";
    assert!(refused.to_string().contains(text), "{refused}");
    assert!(EmbeddedReader::open(&copy.path()).is_err());
}
