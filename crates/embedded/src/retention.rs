//! Retention of the log, stored for other processes that read the file: the setting is known
//! only to the process that runs.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Stores the retention in days; `None` keeps records indefinitely.
pub(crate) fn store(db: &Connection, days: Option<u32>) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO retention (id, days) VALUES (1, ?) \
         ON CONFLICT (id) DO UPDATE SET days = excluded.days",
    )?;
    statement.execute([days]).map(drop)
}

/// Returns the retention; `None` if records are kept indefinitely. Files of earlier versions
/// lack the table until `wahook` opens them.
pub(crate) fn lifetime(db: &Connection) -> rusqlite::Result<Option<Duration>> {
    let has_table = db
        .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'retention'")?
        .exists([])?;
    if !has_table {
        return Ok(None);
    }
    let days: Option<Option<u32>> = db
        .query_row("SELECT days FROM retention", [], |row| row.get(0))
        .optional()?;
    Ok(days.flatten().map(|days| DAY * days))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{ADDITIONS, SCHEMA};

    #[test]
    fn retention_is_none_until_it_is_stored() {
        let db = Connection::open_in_memory().unwrap();
        assert_eq!(lifetime(&db).unwrap(), None);
        db.execute_batch(SCHEMA).unwrap();
        db.execute_batch(ADDITIONS).unwrap();
        assert_eq!(lifetime(&db).unwrap(), None);
        for days in [Some(30), Some(90), None] {
            store(&db, days).unwrap();
            assert_eq!(lifetime(&db).unwrap(), days.map(|days| DAY * days));
        }
    }
}
