//! Which queues there are: written down for those who look at the file from outside, since
//! only the process that works on it knows its endpoints.

use rusqlite::Connection;
use wahook_queue::Topology;

/// Another process works on the file from now on, and declares its own.
pub(crate) fn forget(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM queues", []).map(drop)
}

/// Adds those of a topology.
pub(crate) fn add(db: &Connection, topology: &Topology) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    for name in topology.queues() {
        transaction.execute("INSERT OR IGNORE INTO queues (name) VALUES (?)", [name])?;
    }
    transaction.commit()
}

/// Whether there is a queue of this name. A file in which none is written down yet takes
/// everything.
pub(crate) fn has(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM queues WHERE name = ?) \
         OR NOT EXISTS (SELECT 1 FROM queues)",
        [name],
        |row| row.get(0),
    )
}
