//! Writes results to MongoDB.

use std::mem;

use mongodb::{
    bson::{self, Document, RawDocumentBuf},
    error::{Error as ServerError, ErrorKind},
};
use wahook_delivery_log::{DeliveryLog, LogFuture, LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

use crate::{
    MongoLog,
    command::{Batch, Statement, in_order, next_command},
    connection::{server_error, unavailable, within_limit},
    find,
    verdict::{self, Fault},
};

/// Maximum rounds of commands per write. A statement can change from insert to merge
/// once, take a simpler form twice, and lose a race against another consumer
/// occasionally.
const ROUNDS: usize = 12;

impl DeliveryLog for MongoLog {
    fn write<'a>(&'a self, results: &'a [AttemptResult]) -> LogFuture<'a, WriteReport> {
        Box::pin(self.write_all(results))
    }

    fn find<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<DeliveryRecord>> {
        Box::pin(find::find(self, id, endpoint))
    }

    fn prepare(&self, retention_days: Option<u32>) -> LogFuture<'_, ()> {
        Box::pin(Self::prepare(self, retention_days))
    }

    fn ping(&self) -> LogFuture<'_, ()> {
        Box::pin(Self::ping(self))
    }
}

impl MongoLog {
    /// Sends a command per 8 MiB and kind of write; see the crate's documentation. Each is
    /// built when it is its turn, so that only one of them is in memory.
    async fn write_all(&self, results: &[AttemptResult]) -> Result<WriteReport, LogUnavailable> {
        let mut report = WriteReport::default();
        let redaction = self.redaction.as_deref();
        let statements = results.iter();
        let statements = statements.map(|result| Statement::new(result, redaction));
        let mut pending: Vec<_> = statements.collect();
        for _ in 0..ROUNDS {
            let mut statements = mem::take(&mut pending);
            let mut left = in_order(&mut statements);
            while let Some(next) = next_command(&mut left) {
                let mut batch = next.map_err(invalid)?;
                let reply = self.send(&mut batch).await?;
                apply_reply(batch.statements, &reply, &mut report, &mut pending)?;
            }
            if pending.is_empty() {
                return Ok(report);
            }
        }
        Err(LogUnavailable::Unconfirmed(format!(
            "{} results still conflict with other writes after {ROUNDS} rounds",
            pending.len()
        )))
    }

    /// Sends a command, and once more if the connection breaks (a primary stepped
    /// down, a load balancer closed an idle socket). Safe because writes are idempotent.
    ///
    /// The command is built again for that. The driver takes ownership and makes its own
    /// copies; keeping one for a retry would cost one more copy per batch.
    async fn send(&self, batch: &mut Batch<'_, '_>) -> Result<Document, LogUnavailable> {
        let command = mem::take(&mut batch.command);
        match self.send_once(command).await {
            Err(error) if server_error(&error).is_some_and(is_broken_connection) => {
                let again = batch.command_again().map_err(invalid)?;
                self.send_once(again).await
            }
            answer => answer,
        }
    }

    async fn send_once(&self, command: RawDocumentBuf) -> Result<Document, LogUnavailable> {
        within_limit(self.database.run_raw_command(command)).await
    }
}

/// Returns the error of a command that is not valid BSON.
fn invalid(error: bson::error::Error) -> LogUnavailable {
    unavailable(error.into())
}

/// Counts finished statements and collects those to send again.
fn apply_reply<'a>(
    sent: &[Statement<'a>],
    reply: &Document,
    report: &mut WriteReport,
    retries: &mut Vec<Statement<'a>>,
) -> Result<(), LogUnavailable> {
    let faults = verdict::read(reply, sent.len())?;
    for (index, statement) in sent.iter().enumerate() {
        let Some(fault) = faults.get(&index) else {
            report.written += 1;
            report.altered += usize::from(statement.is_altered);
            continue;
        };
        let result = statement.result;
        match statement.after(fault) {
            Some(next) => retries.push(next),
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
        "delivery log rejected this result permanently; this attempt is missing from the log"
    );
}

fn is_broken_connection(error: &ServerError) -> bool {
    match &*error.kind {
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } => true,
        ErrorKind::Command(error) => verdict::is_change_of_primary(error.code),
        _ => false,
    }
}
