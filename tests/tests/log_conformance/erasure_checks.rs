//! Checks of the erasure of a person's data.

use serde_json::{Value, json};
use wahook_delivery_log::ChatRecords;
use wahook_domain::{
    AttemptResult,
    redaction::{REDACTED, is_redacted},
};

use crate::checks::{delivered, exhausted, failed, write};
use crate::logs::Readable;
use crate::search_checks::about_message;

const CHAT: &str = "4915112345678@c.us";

fn chats() -> Vec<String> {
    vec!["4915112345678".to_owned(), CHAT.to_owned()]
}

fn with_answer(mut result: AttemptResult) -> AttemptResult {
    result.attempt.response = Some("unknown customer 4915112345678".into());
    result
}

async fn erase_all(log: &impl Readable) -> u64 {
    let (mut all, chats) = (0, chats());
    loop {
        match log.eraser().erase(&chats).await.unwrap() {
            0 => return all,
            some => all += some,
        }
    }
}

pub(crate) async fn erased_records_keep_only_what_is_not_personal(log: &impl Readable) {
    let person = |id: &str, result: fn(&str, u32) -> AttemptResult| {
        with_answer(about_message(result(id, 1)))
    };
    let results = [
        person("evt-1", exhausted),
        person("evt-2", failed),
        delivered("evt-3", 1),
    ];
    write(log, &results).await;
    let found = log.eraser().count(&chats()).await.unwrap();
    let expected = ChatRecords {
        records: 2,
        retrying: 1,
    };
    assert_eq!(found, expected);
    let status = log.field("evt-1/default", "status").await;
    let other = log.field("evt-3/default", "payload").await;

    assert_eq!(erase_all(log).await, 2);
    let found = log.eraser().count(&chats()).await.unwrap();
    assert_eq!(found, ChatRecords::default());
    for key in ["evt-1/default", "evt-2/default"] {
        let payload = log.field(key, "payload").await;
        assert_eq!(payload.as_object().unwrap().len(), 1, "{payload}");
        assert!(is_redacted(&payload.to_string()), "{payload}");
        for name in ["chat", "messageId"] {
            assert_eq!(log.field(key, name).await, Value::Null, "{name}");
        }
        let attempts = log.field(key, "attempts").await.to_string();
        assert!(!attempts.contains("4915112345678"), "{attempts}");
        assert_eq!(log.field(key, "event").await, "message_ack");
    }
    assert_eq!(log.field("evt-1/default", "status").await, status);
    assert_eq!(log.field("evt-3/default", "payload").await, other);
    let id = &results[0].event_id;
    let record = log.log().find(id, &results[0].endpoint).await.unwrap();
    assert_eq!(record.unwrap().attempts().len(), 1);
}

pub(crate) async fn a_later_result_does_not_restore_an_erased_record(log: &impl Readable) {
    write(log, &[about_message(failed("evt-1", 1))]).await;
    assert_eq!(erase_all(log).await, 1);
    write(log, &[about_message(delivered("evt-1", 2))]).await;
    let key = "evt-1/default";
    assert_eq!(log.field(key, "status").await, json!("success"));
    assert_eq!(log.field(key, "chat").await, Value::Null);
    let payload = log.field(key, "payload").await;
    assert!(is_redacted(&payload.to_string()), "{payload}");
}

pub(crate) async fn hundreds_of_records_are_erased_in_steps(log: &impl Readable) {
    let results: Vec<_> = (0..1_100)
        .map(|n| about_message(delivered(&format!("evt-{n}"), 1)))
        .collect();
    write(log, &results).await;
    let chats = chats();
    let first = log.eraser().erase(&chats).await.unwrap();
    assert!((1..1_100).contains(&first), "{first}");
    assert_eq!(first + erase_all(log).await, 1_100);
}

pub(crate) async fn redacted_values_are_not_stored_and_the_chat_is(log: &impl Readable) {
    let redacting = log.redacting("message_ack=/data/id/_serialized;call=/data");
    let results = [
        about_message(failed("evt-1", 1)),
        about_message(delivered("evt-1", 2)),
        delivered("evt-2", 1),
    ];
    for result in &results {
        redacting.write(std::slice::from_ref(result)).await.unwrap();
    }
    let payload = log.field("evt-1/default", "payload").await;
    let expected = json!({ "id": { "_serialized": REDACTED }, "ack": 3 });
    assert_eq!(payload, expected);
    assert_eq!(log.field("evt-1/default", "status").await, "success");
    assert_eq!(log.field("evt-1/default", "chat").await, CHAT);
    let other = log.field("evt-2/default", "payload").await;
    assert_eq!(other["body"], "hi");
}
