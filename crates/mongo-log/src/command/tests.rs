use wahook_domain::{
    Attempt, EndpointName, EventBody, EventId, EventName, Omitted, Original, QueuedEvent, Sent,
    UnixMillis,
};

use super::*;
use crate::sent;

fn result(id: &str, number: u32, text: usize) -> AttemptResult {
    let text = "x".repeat(text);
    let body = format!(r#"{{"event":"ping","data":{{"s":"{text}"}},"timestamp":"1"}}"#);
    let (id, name) = (
        EventId::parse(id).unwrap(),
        EventName::parse("ping").unwrap(),
    );
    let body = EventBody::check(body.into()).unwrap();
    let event = QueuedEvent {
        attempt: AttemptNumber::new(number).unwrap(),
        ..QueuedEvent::new(id, name, body, UnixMillis::new(0))
    };
    let attempt = Attempt::begun(&event, UnixMillis::new(1), "https://example.test/".into());
    AttemptResult::of(&event, EndpointName::default(), attempt)
}

fn statements(results: &[AttemptResult]) -> Vec<Statement<'_>> {
    results
        .iter()
        .map(|result| Statement::new(result, None))
        .collect()
}

fn batches<'s, 'a>(statements: &'s mut [Statement<'a>]) -> Vec<Batch<'s, 'a>> {
    let mut left = in_order(statements);
    std::iter::from_fn(|| next_command(&mut left))
        .map(Result::unwrap)
        .collect()
}

#[test]
fn every_command_requests_a_journaled_majority_write() {
    let results = [result("b", 2, 0), result("a", 1, 0)];
    let mut statements = statements(&results);
    let batches = batches(&mut statements);
    let names = batches.iter().map(|batch| {
        let command = &batch.command;
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
fn commands_stay_below_the_server_limit_and_contain_every_result() {
    let long = 15 << 20;
    let mut results = vec![result("long", 1, long), result("long", 2, long)];
    results.extend((0..7_000).map(|event| result(&format!("e{event}"), event % 3 + 1, 900)));
    let mut statements = statements(&results);
    let batches = batches(&mut statements);
    assert!((5..9).contains(&batches.len()), "{}", batches.len());
    let mut sent = 0;
    for mut batch in batches {
        assert!(batch.command.as_bytes().len() < 16 << 20);
        assert_eq!(batch.command_again().unwrap(), batch.command);
        let list = batch.command.iter().nth(1).unwrap().unwrap().1;
        let listed = list.as_array().unwrap().into_iter().count();
        assert_eq!(listed, batch.statements.len());
        sent += listed;
    }
    assert_eq!(sent, results.len());
}

#[test]
fn records_that_are_longer_than_expected_are_left_to_the_next_command() {
    // Two bytes of JSON each, about 14 of BSON.
    let numbers = vec!["1"; 500_000].join(",");
    let body = format!(r#"{{"event":"ping","data":{{"n":[{numbers}]}},"timestamp":"1"}}"#);
    let body = EventBody::check(body.into()).unwrap();
    let results = ["a", "b", "c"].map(|id| AttemptResult {
        body: body.clone(),
        ..result(id, 1, 0)
    });
    let mut statements = statements(&results);
    let batches = batches(&mut statements);
    let ids = batches.iter().map(|batch| {
        let [statement] = &*batch.statements else {
            panic!("{} statements", batch.statements.len());
        };
        assert!(batch.command.as_bytes().len() < 8 << 20);
        statement.result.event_id.as_str()
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["a", "b", "c"]);
}

/// Returns what the record of an exact event of two such texts has of its body.
fn sent_of(text: usize, form: Form) -> (Vec<u8>, Sent) {
    let canonical = result("exact", 1, text);
    let bytes = [b" ", canonical.body.as_bytes()].concat();
    let exact = AttemptResult {
        original: Original::Exact(EventBody::as_received(bytes.clone().into())),
        ..canonical
    };
    let mut record = Vec::new();
    document::write(&mut Writer::begin(&mut record), &exact, form, None);
    let record = RawDocumentBuf::from_bytes(record).unwrap();
    (bytes, sent::read(&record).unwrap())
}

#[test]
fn bytes_are_stored_if_the_record_stays_below_the_server_limit_with_them() {
    let (bytes, sent) = sent_of(7 << 20, Form::AsSent);
    assert_eq!(sent.body, Some(bytes.into()));
    let (_, sent) = sent_of(8 << 20, Form::AsSent);
    assert_eq!(sent, Sent::without_body(None, Omitted::TooLarge));
    let (_, sent) = sent_of(1, Form::Omitted);
    assert_eq!(sent, Sent::without_body(None, Omitted::Refused));
}
