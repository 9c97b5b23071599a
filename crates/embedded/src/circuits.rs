//! Pauses by circuit breakers in the table `wahookcircuits`. One process delivers from a data
//! file, so its report replaces that of the process before.

use rusqlite::{Connection, Row, TransactionBehavior, params};
use wahook_delivery_log::LogFuture;
use wahook_domain::{EndpointName, UnixMillis};
use wahook_operator_state::{CircuitPause, CircuitReport, CircuitReports};
use wahook_runtime::clock;

use crate::EmbeddedOperatorState;

impl CircuitReports for EmbeddedOperatorState {
    fn report<'a>(&'a self, report: &'a CircuitReport) -> LogFuture<'a, ()> {
        let report = report.clone();
        self.db.run(move |db| store(db, &report))
    }

    fn pauses(&self) -> LogFuture<'_, Vec<CircuitPause>> {
        self.db.run(|db| {
            let mut statement = db.prepare_cached(
                "SELECT endpoint, since, nextProbeAt, reason FROM wahookcircuits \
                 WHERE validUntil >= ?",
            )?;
            let pauses = statement.query_map([clock::now().get()], pause)?;
            // A name of another form belongs to no endpoint.
            pauses.filter_map(Result::transpose).collect()
        })
    }
}

fn store(db: &mut Connection, report: &CircuitReport) -> rusqlite::Result<()> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("DELETE FROM wahookcircuits", [])?;
    let valid_until = clock::now().plus(report.valid_for).get();
    for pause in &report.pauses {
        transaction.execute(
            "INSERT INTO wahookcircuits (endpoint, since, nextProbeAt, reason, validUntil) \
             VALUES (?, ?, ?, ?, ?)",
            params![
                pause.endpoint.as_str(),
                pause.since.get(),
                pause.next_probe.get(),
                pause.reason,
                valid_until,
            ],
        )?;
    }
    transaction.commit()
}

/// Reads a pause; `None` if the name is not that of an endpoint.
fn pause(row: &Row<'_>) -> rusqlite::Result<Option<CircuitPause>> {
    let name: String = row.get(0)?;
    let Ok(endpoint) = EndpointName::parse(&name) else {
        return Ok(None);
    };
    Ok(Some(CircuitPause {
        endpoint,
        since: UnixMillis::new(row.get(1)?),
        next_probe: UnixMillis::new(row.get(2)?),
        reason: row.get(3)?,
    }))
}
