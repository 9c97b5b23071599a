//! Mark of a data file. SQLite files of other programs are never changed.

use rusqlite::Connection;

/// `application_id` of a data file: `WAHK`.
const DATA_ID: i64 = 0x5741_484B;
/// `application_id` of a spool: `WASP`.
const SPOOL_ID: i64 = 0x5741_5350;
/// Tables of every version of the schema.
const TABLES: [&str; 3] = ["messages", "waiting", "webhooklogs"];

/// Purpose of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Data file of `wahook`.
    Data,
    /// Spool of a `wahook-producer`.
    Spool,
}

impl Purpose {
    const fn application_id(self) -> i64 {
        match self {
            Self::Data => DATA_ID,
            Self::Spool => SPOOL_ID,
        }
    }
}

/// Origin of a SQLite file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Identity {
    /// No tables yet.
    New,
    /// Written by wahook, and marked.
    Marked(Purpose),
    /// Data file of an earlier wahook, without a mark.
    Unmarked,
    /// Written by another program.
    Foreign,
}

/// Returns the origin of the file.
pub(crate) fn of(db: &Connection) -> rusqlite::Result<Identity> {
    let id: i64 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    if id != 0 {
        return Ok(match id {
            DATA_ID => Identity::Marked(Purpose::Data),
            SPOOL_ID => Identity::Marked(Purpose::Spool),
            _ => Identity::Foreign,
        });
    }
    let mut statement = db.prepare("SELECT name FROM sqlite_schema")?;
    let names = statement.query_map([], |row| row.get(0))?;
    let names: Vec<String> = names.collect::<rusqlite::Result<_>>()?;
    let is_there = |table: &&str| names.iter().any(|name| name == table);
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    Ok(if names.is_empty() && version == 0 {
        Identity::New
    } else if TABLES.iter().all(is_there) {
        Identity::Unmarked
    } else {
        Identity::Foreign
    })
}

impl Identity {
    /// Returns the purpose of an existing file of wahook.
    pub(crate) fn purpose(self) -> Option<Purpose> {
        match self {
            Self::Marked(purpose) => Some(purpose),
            Self::Unmarked => Some(Purpose::Data),
            Self::New | Self::Foreign => None,
        }
    }
}

/// Marks the file.
pub(crate) fn mark(db: &Connection, purpose: Purpose) -> rusqlite::Result<()> {
    let id = purpose.application_id();
    db.execute_batch(&format!("PRAGMA application_id = {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SCHEMA;

    #[test]
    fn only_empty_files_and_own_tables_are_adopted() {
        let identity = |statements: &str| {
            let db = Connection::open_in_memory().unwrap();
            db.execute_batch(statements).unwrap();
            of(&db).unwrap()
        };
        assert_eq!(identity(""), Identity::New);
        assert_eq!(identity(SCHEMA), Identity::Unmarked);
        let foreign = [
            "CREATE TABLE notes (text)",
            "CREATE TABLE messages (id); PRAGMA user_version = 2",
            "PRAGMA user_version = 1",
            "PRAGMA application_id = 7",
        ];
        for statements in foreign {
            assert_eq!(identity(statements), Identity::Foreign, "{statements}");
        }
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(SCHEMA).unwrap();
        for purpose in [Purpose::Data, Purpose::Spool] {
            mark(&db, purpose).unwrap();
            assert_eq!(of(&db).unwrap(), Identity::Marked(purpose));
        }
    }
}
