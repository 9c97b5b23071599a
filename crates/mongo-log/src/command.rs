//! Builds the MongoDB commands that write results.

use mongodb::bson::{self, RawDocumentBuf};
use wahook_delivery_log::record_key;
use wahook_domain::{AttemptNumber, AttemptResult, Redaction};

use crate::{
    connection::{ANSWER_LIMIT, COLLECTION},
    document,
    merge::MERGE,
    payload::{Alteration, Form},
    verdict::Fault,
    writer::{ArrayKeys, Writer},
};

/// Target size of a command. The server's limit for a BSON document is 16 MiB; a
/// single record with the largest payload stays below it.
const COMMAND_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of an `update` statement in addition to its record and the pipeline.
const UPDATE_OVERHEAD: usize = 256;

/// Bytes of a command in addition to its statements, array keys included.
const COMMAND_OVERHEAD: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// Inserts a new record.
    Insert,
    /// Updates the existing record, or inserts a new one.
    Merge,
}

/// Write of a single result, as part of a command.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) result: &'a AttemptResult,
    pub(crate) kind: WriteKind,
    form: Form,
    redaction: Option<&'a Redaction>,
    record: document::Document,
}

impl<'a> Statement<'a> {
    /// Inserts a first attempt, which usually has no record yet; merges any other.
    pub(crate) fn new(result: &'a AttemptResult, redaction: Option<&'a Redaction>) -> Self {
        let kind = if result.attempt.number == AttemptNumber::FIRST {
            WriteKind::Insert
        } else {
            WriteKind::Merge
        };
        Self::formed(result, kind, Form::AsSent, redaction)
    }

    fn formed(
        result: &'a AttemptResult,
        kind: WriteKind,
        form: Form,
        redaction: Option<&'a Redaction>,
    ) -> Self {
        let record = document::of_result(result, form, redaction);
        Self {
            result,
            kind,
            form,
            redaction,
            record,
        }
    }

    /// Returns true if the stored payload differs from the received one.
    pub(crate) fn is_altered(&self) -> bool {
        !self.record.altered.is_empty()
    }

    /// Returns the statement to send after a fault, or `None` if all forms were tried.
    pub(crate) fn after(self, fault: &Fault) -> Option<Self> {
        match fault {
            Fault::RecordExists => Some(Self {
                kind: WriteKind::Merge,
                ..self
            }),
            Fault::Rejected { .. } => self.in_simpler_form(),
        }
    }

    fn in_simpler_form(self) -> Option<Self> {
        let formed = |form| Self::formed(self.result, self.kind, form, self.redaction);
        if self.form == Form::AsSent {
            let plain = formed(Form::PlainKeys);
            if plain.record.altered.contains(&Alteration::ReservedKey) {
                return Some(plain);
            }
        }
        (self.form != Form::Omitted).then(|| formed(Form::Omitted))
    }

    fn bytes(&self) -> usize {
        let record = self.record.bson.len();
        match self.kind {
            WriteKind::Insert => record,
            WriteKind::Merge => record + MERGE.as_bytes().len() + UPDATE_OVERHEAD,
        }
    }
}

/// Builds the first commands of a write of these results, in wire format.
/// Commands that depend on the server's reply are not included.
///
/// # Errors
/// If the output is not valid BSON, which would be a bug.
pub fn commands(results: &[AttemptResult]) -> Result<Vec<RawDocumentBuf>, bson::error::Error> {
    let statements = results
        .iter()
        .map(|result| Statement::new(result, None))
        .collect();
    batches(statements).iter().map(Batch::command).collect()
}

/// Statements of one command.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    kind: WriteKind,
    bytes: usize,
}

/// Groups statements into commands by kind of write, each within the server's size limit.
pub(crate) fn batches(statements: Vec<Statement<'_>>) -> Vec<Batch<'_>> {
    let (inserts, merges): (Vec<_>, Vec<_>) = statements
        .into_iter()
        .partition(|statement| statement.kind == WriteKind::Insert);
    let mut batches: Vec<Batch<'_>> = Vec::new();
    // Inserts first, so that a merge of the same call finds its record.
    for statement in inserts.into_iter().chain(merges) {
        let bytes = statement.bytes();
        match batches.last_mut() {
            Some(batch) if batch.kind == statement.kind && batch.bytes + bytes <= COMMAND_BYTES => {
                batch.bytes += bytes;
                batch.statements.push(statement);
            }
            _ => batches.push(Batch {
                kind: statement.kind,
                bytes,
                statements: vec![statement],
            }),
        }
    }
    batches
}

impl Batch<'_> {
    /// Builds the command, with a journaled majority write concern.
    /// Unordered, so that a rejected statement does not block the others.
    pub(crate) fn command(&self) -> Result<RawDocumentBuf, bson::error::Error> {
        let (name, list) = match self.kind {
            WriteKind::Insert => ("insert", "documents"),
            WriteKind::Merge => ("update", "updates"),
        };
        let mut bytes = Vec::with_capacity(self.bytes + COMMAND_OVERHEAD);
        let mut command = Writer::begin(&mut bytes);
        command.text(name, COLLECTION);
        {
            let (mut statements, mut keys) = (command.array(list), ArrayKeys::default());
            for statement in &self.statements {
                let record = &statement.record.bson;
                match self.kind {
                    WriteKind::Insert => statements.encoded(keys.next(), record),
                    WriteKind::Merge => merge(&mut statements.document(keys.next()), statement),
                }
            }
        }
        command.bool("ordered", false);
        {
            let mut write_concern = command.document("writeConcern");
            write_concern.text("w", "majority");
            write_concern.bool("j", true);
            let limit = ANSWER_LIMIT.as_millis().try_into().unwrap_or(i64::MAX);
            write_concern.integer("wtimeout", limit);
        }
        drop(command);
        RawDocumentBuf::from_bytes(bytes)
    }
}

/// Passes the record in `c`, whose values the server never evaluates as expressions.
fn merge(update: &mut Writer<'_>, statement: &Statement<'_>) {
    let result = statement.result;
    let id = record_key(&result.event_id, &result.endpoint);
    update.document("q").text("_id", &id);
    update.encoded_array("u", MERGE.as_bytes());
    update.document("c").encoded("new", &statement.record.bson);
    update.bool("upsert", true);
}

#[cfg(test)]
mod tests;
