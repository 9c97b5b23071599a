//! Erasure of a person's data while `wahook` runs.

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use crate::console::{Console, borrowed};
use crate::system::System;

const NUMBER: &str = "15550001111";

async fn send(system: &System, number: &str) {
    let body = json!({
        "event": "call",
        "data": { "from": format!("{number}@c.us"), "note": "secret words" }
    });
    system.send_event(&body).await;
}

async fn erase(system: &System, arguments: &[&str]) -> Ran {
    let arguments = [&["erase"], arguments].concat();
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    command.await.finish().await
}

/// Returns a system with failed deliveries of two events of the person and one of another.
async fn failures(system: &System) {
    for number in [NUMBER, NUMBER, "15550002222"] {
        send(system, number).await;
    }
    let failed = "SELECT count(*) FROM webhooklogs WHERE status = 'failed'";
    let dead = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";
    eventually(AT_LAST, "the dead letters", || async {
        (system.count(failed) == 3 && system.count(dead) == 3).then_some(())
    })
    .await;
}

/// Returns the records and the dead letters that have the words of a person.
fn left(system: &System) -> (i64, i64) {
    let records = "SELECT count(*) FROM webhooklogs WHERE payload LIKE '%secret words%'";
    let letters = "SELECT count(*) FROM messages WHERE queue = 'wahook.dead'";
    (system.count(records), system.count(letters))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn command_erases_records_and_dead_letters_of_a_number_and_no_others() {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let (_, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    failures(&system).await;

    let counted = erase(&system, &["--number", "+1 555 000 1111", "--dry-run"]).await;
    let expected = "2 records and 2 dead letters would be erased";
    assert!(counted.printed().contains(expected), "{counted:?}");
    assert_eq!(left(&system), (3, 3));
    let erased = erase(&system, &["--number", NUMBER]).await;
    let expected = "2 records and 2 dead letters erased";
    assert!(erased.printed().contains(expected), "{erased:?}");
    assert_eq!(left(&system), (1, 1));
    let none = erase(&system, &["--chat", "15550001111@s.whatsapp.net"]).await;
    assert!(
        none.printed().contains("0 records and 0 dead letters"),
        "{none:?}"
    );

    let actions = system.pairs("SELECT action, subject FROM wahookactions ORDER BY seq");
    let expected = [("erase", "a phone number"), ("erase", "a chat")];
    let expected = expected.map(|(action, subject)| (action.to_owned(), subject.to_owned()));
    assert_eq!(actions, expected);
    let refused = erase(&system, &[]).await;
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn console_erases_a_chat_and_does_not_send_its_events_again() {
    let receiver = Receiver::answering(|_| Answer::status(500)).await;
    let (console, settings) = Console::new();
    let system = System::new(&receiver, &borrowed(&settings));
    let _program = system.start().await;
    failures(&system).await;
    let chat = format!("{NUMBER}@c.us");
    let found = console.get(&format!("deliveries?chat={chat}")).await;
    let id = found["deliveries"][0]["eventId"].as_str().unwrap();

    let dry = json!({ "chat": chat, "dryRun": true });
    let expected = json!({ "records": 2, "deadLetters": 2, "retrying": 0, "dryRun": true });
    assert_eq!(console.post("erasures", &dry).await, expected);
    let erased = console.post("erasures", &json!({ "chat": chat })).await;
    assert_eq!(
        (&erased["records"], &erased["deadLetters"]),
        (&json!(2), &json!(2))
    );
    // The letters' acks follow the answer.
    eventually(AT_LAST, "the end of the letters", || async {
        (left(&system) == (1, 1)).then_some(())
    })
    .await;
    let detail = console.get(&format!("deliveries/{id}/default")).await;
    assert_eq!(detail["payloadAltered"], json!(["redacted"]), "{detail}");
    assert_eq!(detail["status"], "failed");

    let started = console.post("redeliveries", &json!({ "ids": [id] })).await;
    let job = console.end_of(&started).await;
    let error = job["error"].as_str().unwrap();
    assert!(error.contains("redacted or erased"), "{job}");
    let refused = console.post("erasures", &json!({ "number": "12" })).await;
    assert_eq!(refused["status"], 400, "{refused}");
}
