//! Builds the MongoDB commands that write results.

use mongodb::bson::{self, RawDocumentBuf};
use std::{collections::BTreeSet, mem};
use wahook_delivery_log::record_key;
use wahook_domain::{AttemptNumber, AttemptResult, Original, Redaction};

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

/// Approximate bytes of a record in addition to its bodies.
const RECORD_OVERHEAD: usize = 1024;

/// Approximate bytes of an `update` statement in addition to its record and the pipeline.
const UPDATE_OVERHEAD: usize = 256;

/// Approximate bytes of a command in addition to its statements.
const COMMAND_OVERHEAD: usize = 4096;

/// Kind of a write. Inserts come first, so that a merge of the same call finds its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WriteKind {
    /// Inserts a new record.
    Insert,
    /// Updates the existing record, or inserts a new one.
    Merge,
}

/// Write of a single result, as part of a command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement<'a> {
    pub(crate) result: &'a AttemptResult,
    pub(crate) kind: WriteKind,
    form: Form,
    redaction: Option<&'a Redaction>,
    /// True if the stored payload differs from the received one. Known once the statement is
    /// part of a command.
    pub(crate) is_altered: bool,
}

impl<'a> Statement<'a> {
    /// Inserts a first attempt, which usually has no record yet; merges any other.
    pub(crate) fn new(result: &'a AttemptResult, redaction: Option<&'a Redaction>) -> Self {
        let kind = if result.attempt.number == AttemptNumber::FIRST {
            WriteKind::Insert
        } else {
            WriteKind::Merge
        };
        Self {
            result,
            kind,
            form: Form::AsSent,
            redaction,
            is_altered: false,
        }
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
        if self.form == Form::AsSent {
            let plain = Self {
                form: Form::PlainKeys,
                ..self
            };
            let mut bytes = Vec::new();
            let altered = plain.write_record(&mut Writer::begin(&mut bytes));
            if altered.contains(&Alteration::ReservedKey) {
                return Some(plain);
            }
        }
        let omitted = Self {
            form: Form::Omitted,
            ..self
        };
        (self.form != Form::Omitted).then_some(omitted)
    }

    /// Returns the approximate size of the statement.
    fn expected_bytes(&self) -> usize {
        let exact = match &self.result.original {
            Original::Exact(body) => body.len(),
            Original::Same | Original::Lost(_) => 0,
        };
        let record = self.result.body.len() + exact + RECORD_OVERHEAD;
        match self.kind {
            WriteKind::Insert => record,
            WriteKind::Merge => record + MERGE.as_bytes().len() + UPDATE_OVERHEAD,
        }
    }

    /// Writes the statement as an item of its command's list.
    fn write(&self, list: &mut Writer<'_>, key: &str) -> BTreeSet<Alteration> {
        let mut item = list.document(key);
        match self.kind {
            WriteKind::Insert => self.write_record(&mut item),
            WriteKind::Merge => self.write_merge(&mut item),
        }
    }

    /// Passes the record in `c`, whose values the server never evaluates as expressions.
    fn write_merge(&self, update: &mut Writer<'_>) -> BTreeSet<Alteration> {
        let id = record_key(&self.result.event_id, &self.result.endpoint);
        update.document("q").text("_id", &id);
        update.encoded_array("u", MERGE.as_bytes());
        let altered = self.write_record(&mut update.document("c").document("new"));
        update.bool("upsert", true);
        altered
    }

    fn write_record(&self, record: &mut Writer<'_>) -> BTreeSet<Alteration> {
        document::write(record, self.result, self.form, self.redaction)
    }
}

/// Builds the first commands of a write of these results, in wire format.
/// Commands that depend on the server's reply are not included.
///
/// # Errors
/// If the output is not valid BSON, which would be a bug.
pub fn commands(results: &[AttemptResult]) -> Result<Vec<RawDocumentBuf>, bson::error::Error> {
    let statements = results.iter().map(|result| Statement::new(result, None));
    let mut statements: Vec<_> = statements.collect();
    let mut left = in_order(&mut statements);
    let mut commands = Vec::new();
    while let Some(next) = next_command(&mut left) {
        commands.push(next?.command);
    }
    Ok(commands)
}

/// Command, with its statements.
#[derive(Debug)]
pub(crate) struct Batch<'s, 'a> {
    pub(crate) command: RawDocumentBuf,
    pub(crate) statements: &'s mut [Statement<'a>],
}

/// Returns the statements in the order in which they are written.
pub(crate) fn in_order<'s, 'a>(statements: &'s mut [Statement<'a>]) -> &'s mut [Statement<'a>] {
    // Stable, so that statements of the same kind keep their order.
    statements.sort_by_key(|statement| statement.kind);
    statements
}

/// Builds the next command, and takes its statements off `left`; `None` if there are none.
pub(crate) fn next_command<'s, 'a>(
    left: &mut &'s mut [Statement<'a>],
) -> Option<Result<Batch<'s, 'a>, bson::error::Error>> {
    let kind = left.first()?.kind;
    Some(command(kind, left).map(|(command, count)| {
        let (statements, rest) = mem::take(left).split_at_mut(count);
        *left = rest;
        Batch {
            command,
            statements,
        }
    }))
}

/// Builds a command of the first statements, as many as are of this kind and fit, at least 1.
/// Returns their number as well.
///
/// The records are written where the command needs them: a copy of each would cost as much as
/// what the driver does with it.
fn command(
    kind: WriteKind,
    statements: &mut [Statement<'_>],
) -> Result<(RawDocumentBuf, usize), bson::error::Error> {
    let (name, list) = match kind {
        WriteKind::Insert => ("insert", "documents"),
        WriteKind::Merge => ("update", "updates"),
    };
    let mut bytes = Vec::with_capacity(expected_bytes(kind, statements));
    let mut count = 0;
    let mut command = Writer::begin(&mut bytes);
    command.text(name, COLLECTION);
    {
        let (mut list, mut keys) = (command.array(list), ArrayKeys::default());
        for statement in statements {
            let room = COMMAND_BYTES.saturating_sub(list.len());
            let room = if count == 0 { usize::MAX } else { room };
            if statement.kind != kind || statement.expected_bytes() > room {
                break;
            }
            let mut altered = BTreeSet::new();
            let write = |list: &mut Writer<'_>| altered = statement.write(list, keys.next());
            if !list.try_write(room, write) {
                break;
            }
            statement.is_altered = !altered.is_empty();
            count += 1;
        }
    }
    // Unordered, so that a rejected statement does not block the others.
    command.bool("ordered", false);
    {
        let mut write_concern = command.document("writeConcern");
        write_concern.text("w", "majority");
        write_concern.bool("j", true);
        let limit = ANSWER_LIMIT.as_millis().try_into().unwrap_or(i64::MAX);
        write_concern.integer("wtimeout", limit);
    }
    drop(command);
    Ok((RawDocumentBuf::from_bytes(bytes)?, count))
}

/// Returns the approximate size of the command of these statements.
fn expected_bytes(kind: WriteKind, statements: &[Statement<'_>]) -> usize {
    let mut bytes = 0;
    for statement in statements {
        let more = statement.expected_bytes();
        if statement.kind != kind || (bytes > 0 && bytes + more > COMMAND_BYTES) {
            break;
        }
        bytes += more;
    }
    bytes + COMMAND_OVERHEAD
}

impl Batch<'_, '_> {
    /// Builds the command again, with the same statements.
    pub(crate) fn command_again(&mut self) -> Result<RawDocumentBuf, bson::error::Error> {
        let Some(first) = self.statements.first() else {
            return Ok(RawDocumentBuf::new());
        };
        let (command, _) = command(first.kind, self.statements)?;
        Ok(command)
    }
}

#[cfg(test)]
mod tests;
