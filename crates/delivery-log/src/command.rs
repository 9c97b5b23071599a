//! The commands that carry results to the server.

use mongodb::bson::{self, RawDocumentBuf};
use wahook_domain::{AttemptNumber, AttemptResult};

use crate::{
    connection::{ANSWER_LIMIT, COLLECTION},
    document,
    merge::MERGE,
    payload::{Alteration, Form},
    verdict::Fault,
    writer::{Places, Writer},
};

/// A command is one BSON document, for which the server's limit is 16 MiB; a
/// single record with the largest payload stays below it.
const COMMAND_BYTES: usize = 8 * 1024 * 1024;

/// What each `update` statement holds beside its record and the pipeline.
const UPDATE_OVERHEAD: usize = 256;

/// What a command holds beside its statements, and for each its place.
const COMMAND_OVERHEAD: usize = 4096;

/// How a result gets into the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As a record of its own.
    Insert,
    /// Into the record that is there, or as a record of its own.
    Merge,
}

/// One result on its way into the log.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) result: &'a AttemptResult,
    pub(crate) way: Way,
    form: Form,
    record: document::Document,
}

impl<'a> Statement<'a> {
    /// A first attempt is expected to have no record yet.
    pub(crate) fn new(result: &'a AttemptResult) -> Self {
        let way = if result.attempt.number == AttemptNumber::FIRST {
            Way::Insert
        } else {
            Way::Merge
        };
        Self::formed(result, way, Form::AsSent)
    }

    fn formed(result: &'a AttemptResult, way: Way, form: Form) -> Self {
        let record = document::of_result(result, form);
        Self {
            result,
            way,
            form,
            record,
        }
    }

    /// Whether the payload is stored otherwise than it came.
    pub(crate) fn is_altered(&self) -> bool {
        !self.record.altered.is_empty()
    }

    /// What to send after a fault, `None` where nothing is left to try.
    pub(crate) fn after(self, fault: &Fault) -> Option<Self> {
        match fault {
            Fault::RecordExists => Some(Self {
                way: Way::Merge,
                ..self
            }),
            Fault::Refused { .. } => self.in_a_plainer_form(),
        }
    }

    fn in_a_plainer_form(self) -> Option<Self> {
        if self.form == Form::AsSent {
            let plain = Self::formed(self.result, self.way, Form::PlainKeys);
            if plain.record.altered.contains(&Alteration::ReservedKey) {
                return Some(plain);
            }
        }
        (self.form != Form::LeftOut).then(|| Self::formed(self.result, self.way, Form::LeftOut))
    }

    fn bytes(&self) -> usize {
        let record = self.record.bson.len();
        match self.way {
            Way::Insert => record,
            Way::Merge => record + MERGE.as_bytes().len() + UPDATE_OVERHEAD,
        }
    }
}

/// The commands that a write of these results begins with, as they go over the wire.
/// What the server's answer asks for comes after them.
///
/// # Errors
/// When what was written is not BSON, which would be a fault of ours.
pub fn commands(results: &[AttemptResult]) -> Result<Vec<RawDocumentBuf>, bson::error::Error> {
    let statements = results.iter().map(Statement::new).collect();
    batches(statements).iter().map(Batch::command).collect()
}

/// Statements that go in one command.
#[derive(Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) statements: Vec<Statement<'a>>,
    way: Way,
    bytes: usize,
}

/// Sorts statements into commands by their way, none longer than the server takes.
pub(crate) fn batches(statements: Vec<Statement<'_>>) -> Vec<Batch<'_>> {
    let (inserts, merges): (Vec<_>, Vec<_>) = statements
        .into_iter()
        .partition(|statement| statement.way == Way::Insert);
    let mut batches: Vec<Batch<'_>> = Vec::new();
    // Inserts first: a merge into a record of the same call then finds it.
    for statement in inserts.into_iter().chain(merges) {
        let bytes = statement.bytes();
        match batches.last_mut() {
            Some(batch) if batch.way == statement.way && batch.bytes + bytes <= COMMAND_BYTES => {
                batch.bytes += bytes;
                batch.statements.push(statement);
            }
            _ => batches.push(Batch {
                way: statement.way,
                bytes,
                statements: vec![statement],
            }),
        }
    }
    batches
}

impl Batch<'_> {
    /// The command, which asks that the majority has the write in its journal.
    /// Not ordered, so one refused statement does not hold up the others.
    pub(crate) fn command(&self) -> Result<RawDocumentBuf, bson::error::Error> {
        let (name, list) = match self.way {
            Way::Insert => ("insert", "documents"),
            Way::Merge => ("update", "updates"),
        };
        let mut bytes = Vec::with_capacity(self.bytes + COMMAND_OVERHEAD);
        let mut command = Writer::begin(&mut bytes);
        command.text(name, COLLECTION);
        {
            let (mut statements, mut places) = (command.array(list), Places::default());
            for statement in &self.statements {
                let record = &statement.record.bson;
                match self.way {
                    Way::Insert => statements.written(places.next(), record),
                    Way::Merge => merge(&mut statements.document(places.next()), statement),
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

/// The record travels in `c`, whose values the server never reads as expressions.
fn merge(update: &mut Writer<'_>, statement: &Statement<'_>) {
    let result = statement.result;
    let id = document::key(&result.event_id, &result.endpoint);
    update.document("q").text("_id", &id);
    update.written_array("u", MERGE.as_bytes());
    update.document("c").written("new", &statement.record.bson);
    update.bool("upsert", true);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use wahook_domain::{Attempt, CanonicalBody, EndpointName, EventId, EventName, UnixMillis};

    use super::*;

    fn result(id: &str, number: u32, text: usize) -> AttemptResult {
        let text = "x".repeat(text);
        let body = format!(r#"{{"event":"ping","data":{{"s":"{text}"}},"timestamp":1}}"#);
        AttemptResult {
            event_id: EventId::parse(id).unwrap(),
            endpoint: EndpointName::default(),
            event: EventName::parse("ping").unwrap(),
            body: CanonicalBody::check(body.into()).unwrap(),
            accepted_at: UnixMillis::new(0),
            attempt: Attempt {
                queued_at: UnixMillis::new(1),
                number: AttemptNumber::new(number).unwrap(),
                started_at: UnixMillis::new(1),
                duration_ms: 2,
                status_code: None,
                error: None,
                next_attempt_at: None,
                webhook_url: Arc::from("https://example.test/"),
            },
        }
    }

    fn statements(results: &[AttemptResult]) -> Vec<Statement<'_>> {
        results.iter().map(Statement::new).collect()
    }

    #[test]
    fn every_command_asks_for_the_journals_of_the_majority() {
        let results = [result("a", 1, 0), result("b", 2, 0)];
        let batches = batches(statements(&results));
        let names = batches.iter().map(|batch| {
            let command = batch.command().unwrap();
            let concern = command.get_document("writeConcern").unwrap();
            assert_eq!(concern.get_str("w").unwrap(), "majority");
            assert!(concern.get_bool("j").unwrap());
            assert!(!command.get_bool("ordered").unwrap());
            let (name, _) = command.iter().next().unwrap().unwrap();
            name.as_str().to_owned()
        });
        assert_eq!(names.collect::<Vec<_>>(), ["insert", "update"]);
    }

    #[test]
    fn no_command_is_longer_than_the_server_takes_and_no_result_is_left_out() {
        let long = 15 << 20;
        let mut results = vec![result("long", 1, long), result("long", 2, long)];
        results.extend((0..7_000).map(|event| result(&format!("e{event}"), event % 3 + 1, 900)));
        let batches = batches(statements(&results));
        assert!((5..9).contains(&batches.len()), "{}", batches.len());
        let mut sent = 0;
        for batch in &batches {
            assert!(batch.command().unwrap().as_bytes().len() < 16 << 20);
            sent += batch.statements.len();
        }
        assert_eq!(sent, results.len());
    }
}
