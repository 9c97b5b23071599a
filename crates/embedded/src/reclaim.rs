//! Free space of the data file: returned to the disk in small steps, between requests. A
//! file grows with a backlog or a long log; without this it never shrinks.

use std::time::{Duration, Instant};

use rusqlite::Connection;

/// Interval between checks for free pages.
const CHECK_EVERY: Duration = Duration::from_secs(60);
/// Free pages that are kept for reuse: 16 MB. A file that grows and shrinks within it costs
/// nothing.
const KEPT_PAGES: i64 = 4_096;
/// Pages per step: 1 MB, a few milliseconds.
const STEP_PAGES: i64 = 256;
/// Pause between steps, for requests.
const PAUSE: Duration = Duration::from_millis(50);

/// Returns free pages to the disk.
#[derive(Debug)]
pub(crate) struct Reclaim {
    next: Instant,
    is_active: bool,
}

impl Reclaim {
    pub(crate) fn new() -> Self {
        Self {
            next: Instant::now() + CHECK_EVERY,
            is_active: false,
        }
    }

    /// Returns the time until the next step, if free pages are being returned.
    pub(crate) fn wait(&self) -> Option<Duration> {
        let wait = self.next.saturating_duration_since(Instant::now());
        self.is_active.then_some(wait)
    }

    /// Returns some free pages to the disk if a step is due. Does nothing for a file of an
    /// earlier version, until it is compacted.
    pub(crate) fn step(&mut self, db: &Connection) -> rusqlite::Result<()> {
        let now = Instant::now();
        if now < self.next {
            return Ok(());
        }
        self.next = now + CHECK_EVERY;
        self.is_active = return_pages(db)?;
        if self.is_active {
            self.next = now + PAUSE;
        }
        Ok(())
    }
}

/// Returns true if there are more pages to return.
fn return_pages(db: &Connection) -> rusqlite::Result<bool> {
    let surplus = |db: &Connection| -> rusqlite::Result<i64> {
        let free: i64 = db.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        Ok(free - KEPT_PAGES)
    };
    let before = surplus(db)?;
    if before <= 0 {
        return Ok(false);
    }
    let pages = before.min(STEP_PAGES);
    let mut statement = db.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // Each row is one page.
    while rows.next()?.is_some() {}
    let after = surplus(db)?;
    Ok(after > 0 && after < before)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(db: &Connection, pragma: &str) -> i64 {
        let query = format!("PRAGMA {pragma}");
        db.query_row(&query, [], |row| row.get(0)).unwrap()
    }

    fn file_with_free_pages(auto_vacuum: &str) -> Connection {
        let db = Connection::open_in_memory().unwrap();
        let statements = format!(
            "PRAGMA auto_vacuum = {auto_vacuum}; CREATE TABLE big (body BLOB); \
             INSERT INTO big SELECT zeroblob(40000) FROM json_each('[' || \
             rtrim(replace(hex(zeroblob(500)), '00', '1,'), ',') || ']'); DELETE FROM big;"
        );
        db.execute_batch(&statements).unwrap();
        assert!(pages(&db, "freelist_count") > KEPT_PAGES + STEP_PAGES);
        db
    }

    #[test]
    fn surplus_pages_are_returned_in_steps() {
        let db = file_with_free_pages("INCREMENTAL");
        let before = pages(&db, "page_count");
        assert!(return_pages(&db).unwrap());
        // One more if the step reaches a page of SQLite's own map.
        let returned = before - pages(&db, "page_count");
        assert!(
            (STEP_PAGES..=STEP_PAGES + 1).contains(&returned),
            "{returned}"
        );
        while return_pages(&db).unwrap() {}
        assert_eq!(pages(&db, "freelist_count"), KEPT_PAGES);
        assert!(!return_pages(&db).unwrap());
    }

    #[test]
    fn file_of_an_earlier_version_is_left_alone() {
        let db = file_with_free_pages("NONE");
        let before = pages(&db, "page_count");
        assert!(!return_pages(&db).unwrap());
        assert_eq!(pages(&db, "page_count"), before);
    }

    #[test]
    fn steps_have_pauses() {
        let db = file_with_free_pages("INCREMENTAL");
        let mut reclaim = Reclaim::new();
        let before = pages(&db, "page_count");
        reclaim.step(&db).unwrap();
        assert_eq!((pages(&db, "page_count"), reclaim.wait()), (before, None));
        reclaim.next = Instant::now();
        reclaim.step(&db).unwrap();
        assert!(pages(&db, "page_count") < before);
        assert!(reclaim.wait().is_some());
    }
}
