//! How results get into the log.

use std::mem;

use mongodb::{
    bson::Document,
    error::{Error as ServerError, ErrorKind},
};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

use crate::{
    DeliveryLog, LogUnavailable, MongoLog, WriteReport,
    command::{Batch, Statement, batches},
    connection::within_limit,
    find,
    verdict::{self, Fault},
};

/// A statement can be turned from an insert into a merge once, take a plainer
/// form twice, and lose a race against another consumer now and then.
const ROUNDS: usize = 12;

impl DeliveryLog for MongoLog {
    /// One command per 8 MiB and kind of write; see the crate's documentation.
    async fn write(&self, results: &[AttemptResult]) -> Result<WriteReport, LogUnavailable> {
        let mut report = WriteReport::default();
        let mut pending: Vec<_> = results.iter().map(Statement::new).collect();
        for _ in 0..ROUNDS {
            for batch in batches(mem::take(&mut pending)) {
                let reply = self.send(&batch).await?;
                settle(batch, &reply, &mut report, &mut pending)?;
            }
            if pending.is_empty() {
                return Ok(report);
            }
        }
        Err(LogUnavailable::Unconfirmed(format!(
            "{} results are still contended after {ROUNDS} rounds",
            pending.len()
        )))
    }

    async fn find(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
    ) -> Result<Option<DeliveryRecord>, LogUnavailable> {
        find::find(self, id, endpoint).await
    }

    async fn prepare(&self, retention_days: Option<u32>) -> Result<(), LogUnavailable> {
        Self::prepare(self, retention_days).await
    }

    async fn ping(&self) -> Result<(), LogUnavailable> {
        Self::ping(self).await
    }
}

impl MongoLog {
    /// A write is idempotent, so when its connection breaks (a primary stepped
    /// down, a load balancer closed an idle socket) it is sent once more at once.
    async fn send(&self, batch: &Batch<'_>) -> Result<Document, LogUnavailable> {
        match self.send_once(batch).await {
            Err(LogUnavailable::Server(error)) if is_broken_connection(&error) => {
                self.send_once(batch).await
            }
            answer => answer,
        }
    }

    /// The driver takes the command, some 100 KB, and makes copies of its own:
    /// one that is kept for a second time would be one more for each batch.
    async fn send_once(&self, batch: &Batch<'_>) -> Result<Document, LogUnavailable> {
        let command = batch.command().map_err(ServerError::from)?;
        within_limit(self.database.run_raw_command(command)).await
    }
}

/// Counts what is done and keeps what must be sent again.
fn settle<'a>(
    batch: Batch<'a>,
    reply: &Document,
    report: &mut WriteReport,
    again: &mut Vec<Statement<'a>>,
) -> Result<(), LogUnavailable> {
    let faults = verdict::read(reply, batch.statements.len())?;
    for (index, statement) in batch.statements.into_iter().enumerate() {
        let Some(fault) = faults.get(&index) else {
            report.written += 1;
            report.altered += usize::from(statement.is_altered());
            continue;
        };
        let result = statement.result;
        match statement.after(fault) {
            Some(next) => again.push(next),
            None => {
                report.rejected += 1;
                report_rejection(result, fault);
            }
        }
    }
    Ok(())
}

fn report_rejection(result: &AttemptResult, fault: &Fault) {
    tracing::error!(
        event_id = %result.event_id,
        endpoint = %result.endpoint,
        attempt = result.attempt.number.get(),
        reason = %fault,
        "the delivery log refuses this result for good"
    );
}

fn is_broken_connection(error: &ServerError) -> bool {
    match &*error.kind {
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
        ErrorKind::Command(error) => verdict::is_change_of_primary(error.code),
        _ => false,
    }
}
