//! Table of the declared queues, for other processes that open the file: the endpoints are
//! configured only in the process that runs.

use rusqlite::Connection;
use wahook_queue::Topology;

/// Removes the queues of the previous process; the new one declares its own.
pub(crate) fn forget(db: &Connection) -> rusqlite::Result<()> {
    db.execute("DELETE FROM queues", []).map(drop)
}

/// Adds the queues of a topology.
pub(crate) fn add(db: &Connection, topology: &Topology) -> rusqlite::Result<()> {
    let transaction = db.unchecked_transaction()?;
    for name in topology.queues() {
        transaction.execute("INSERT OR IGNORE INTO queues (name) VALUES (?)", [name])?;
    }
    transaction.commit()
}

/// Returns true if the queue is declared, or if the table is still empty.
pub(crate) fn has(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    db.query_row(
        "SELECT EXISTS (SELECT 1 FROM queues WHERE name = ?) \
         OR NOT EXISTS (SELECT 1 FROM queues)",
        [name],
        |row| row.get(0),
    )
}

/// Returns true if the queue is declared.
pub(crate) fn is_declared(db: &Connection, name: &str) -> rusqlite::Result<bool> {
    let query = "SELECT EXISTS (SELECT 1 FROM queues WHERE name = ?)";
    db.query_row(query, [name], |row| row.get(0))
}

/// Returns the names of the declared queues.
pub(crate) fn names(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = db.prepare_cached("SELECT name FROM queues")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    rows.collect()
}
