//! Integrity check of a data file, for the command `check`.

use std::{fs, path::Path};

use rusqlite::Connection;

use crate::{damage::is_damage, error::OpenError, open};

/// Maximum number of problems that are reported.
const MAX_PROBLEMS: u32 = 100;
/// Result of a check without problems.
const INTACT: &str = "ok";

/// Depth of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Reads all pages; does not compare indexes with tables.
    Quick,
    /// Compares indexes with tables too.
    Full,
}

/// Checks the file next to a process that may have it open. Returns the problems: none if
/// the file is intact.
///
/// # Errors
/// If the file does not exist, can't be opened, or was not written by wahook.
pub fn check(path: &Path, depth: Depth) -> Result<Vec<String>, OpenError> {
    let problems = open::open_any_read_only(path).and_then(|db| {
        let unreadable = |error| OpenError::Database(path.to_owned(), error);
        problems(&db, depth).map_err(unreadable)
    });
    match problems {
        Err(OpenError::Database(_, error)) if is_damage(&error) => Ok(vec![error.to_string()]),
        problems => problems,
    }
}

/// Rewrites the file without free pages, and lets it give back space from now on. Needs free
/// disk space of twice its size. Returns its size in bytes, before and after.
///
/// # Errors
/// If the file does not exist, is in use, can't be written, or was not written by wahook.
pub fn compact(path: &Path) -> Result<(u64, u64), OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let size = || {
        let found = fs::metadata(path).map_err(|error| OpenError::Lock(path.to_owned(), error));
        found.map(|found| found.len())
    };
    let before = size()?;
    let opened = open::open(path)?;
    let unusable = |error| OpenError::Database(path.to_owned(), error);
    // The copy may be larger than the memory.
    let rewrite = "PRAGMA temp_store = FILE; VACUUM; PRAGMA wal_checkpoint(TRUNCATE);";
    opened
        .db
        .execute_batch(&format!("{}{rewrite}", open::GIVE_BACK_SPACE))
        .map_err(unusable)?;
    Ok((before, size()?))
}

fn problems(db: &Connection, depth: Depth) -> rusqlite::Result<Vec<String>> {
    let pragma = match depth {
        Depth::Quick => "quick_check",
        Depth::Full => "integrity_check",
    };
    let mut statement = db.prepare(&format!("PRAGMA {pragma}({MAX_PROBLEMS})"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    loop {
        match rows.next() {
            Ok(Some(row)) => found.push(row.get(0)?),
            Ok(None) => break,
            Err(error) if is_damage(&error) => {
                found.push(error.to_string());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    found.retain(|problem: &String| problem != INTACT);
    Ok(found)
}
