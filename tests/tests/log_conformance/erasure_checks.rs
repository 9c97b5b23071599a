//! Checks of the erasure of a person's data.

use serde_json::{Value, json};
use wahook_delivery_log::{ChatRecords, Chats, Devices};
use wahook_domain::{
    AttemptResult, Origin, SourceName,
    redaction::{REDACTED, is_redacted},
};

use crate::checks::{delivered, exhausted, failed, write};
use crate::logs::Readable;
use crate::search_checks::about_message;
use crate::sent_checks::{as_received, logged};

const CHAT: &str = "4915112345678@c.us";

fn chats() -> Chats {
    Chats {
        ids: vec!["4915112345678".to_owned(), CHAT.to_owned()],
        devices: vec![Devices {
            user: "4915112345678".to_owned(),
            server: "c.us".to_owned(),
        }],
    }
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
        person("evt-2", delivered),
        delivered("evt-3", 1),
    ];
    write(log, &results).await;
    let found = log.eraser().count(&chats()).await.unwrap();
    let expected = ChatRecords {
        concluded: 2,
        retrying: 0,
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
    write(log, &[about_message(exhausted("evt-1", 1))]).await;
    write(log, &[as_received(exhausted("evt-2", 1))]).await;
    assert!(logged(log, "evt-2").await.sent.is_some());
    assert_eq!(erase_all(log).await, 2);
    write(log, &[about_message(delivered("evt-1", 2))]).await;
    write(log, &[as_received(delivered("evt-2", 2))]).await;
    let key = "evt-1/default";
    assert_eq!(log.field(key, "status").await, json!("success"));
    assert_eq!(log.field(key, "chat").await, Value::Null);
    let payload = log.field(key, "payload").await;
    assert!(is_redacted(&payload.to_string()), "{payload}");
    let received = logged(log, "evt-2").await;
    assert_eq!((received.sent, received.found.chat), (None, None));
    assert!(is_redacted(&received.payload.unwrap()));
}

pub(crate) async fn a_record_is_erased_once_its_delivery_is_concluded(log: &impl Readable) {
    let key = "evt-1/default";
    write(log, &[with_answer(about_message(failed("evt-1", 1)))]).await;
    let expected = ChatRecords {
        concluded: 0,
        retrying: 1,
    };
    for _ in 0..2 {
        assert_eq!(erase_all(log).await, 0);
        let found = log.eraser().count(&chats()).await.unwrap();
        assert_eq!(found, expected);
    }
    assert_eq!(log.field(key, "chat").await, CHAT);
    write(log, &[with_answer(about_message(exhausted("evt-1", 2)))]).await;
    assert_eq!(erase_all(log).await, 1);
    let attempts = log.field(key, "attempts").await.to_string();
    assert!(!attempts.contains("4915112345678"), "{attempts}");
}

pub(crate) async fn records_of_a_chats_devices_are_erased_and_no_others(log: &impl Readable) {
    let of_chat = |id: &str, chat: &str| AttemptResult {
        origin: Some(
            Origin {
                source: SourceName::parse("shop").unwrap(),
                session: None,
                chat: Some(chat.to_owned()),
                message_id: None,
                received: None,
            }
            .into(),
        ),
        ..delivered(id, 1)
    };
    let own = [
        "4915112345678",
        "4915112345678:7@c.us",
        "4915112345678.0:7@c.us",
    ];
    let others = [
        "49151123456789@c.us",
        "49151123456789:7@c.us",
        "14915112345678:7@c.us",
        "4915112345678:7@c-us",
        "4915112345678:7@g.us",
        "4915112345678-7@c.us",
    ];
    let named = own.iter().chain(&others).enumerate();
    let results: Vec<_> = named
        .map(|(n, chat)| of_chat(&format!("evt-{n}"), chat))
        .collect();
    write(log, &results).await;
    let found = log.eraser().count(&chats()).await.unwrap();
    assert_eq!(found.concluded, 3);
    assert_eq!(erase_all(log).await, 3);
    for (n, other) in others.iter().enumerate() {
        let key = format!("evt-{}/default", own.len() + n);
        assert_eq!(log.field(&key, "chat").await, *other);
    }
    let chats = chats();
    assert!(own.iter().all(|chat| chats.has(chat)));
    assert!(!others.iter().any(|chat| chats.has(chat)));
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
