//! Data file of schema version 1, with messages in every state.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::Receiver;

use crate::system::System;

pub(crate) const FIXTURE: &str = "../crates/embedded/tests/data/wahook-v1.db";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Event, attempt, and true for an event with a trace.
type Expected = (&'static str, u32, bool);

/// Queued and waiting messages of the fixture.
const OPEN: [Expected; 6] = [
    ("disconnected", 1, true),
    ("message_create", 1, true),
    ("message_reaction", 1, false),
    ("contact_changed", 2, true),
    ("group_update", 2, false),
    ("group_join", 2, false),
];
/// Decodable dead letters of the fixture.
const DEAD: [Expected; 3] = [
    ("auth_failure", 1, true),
    ("group_leave", 1, false),
    ("message_ack", 1, true),
];

/// Copies the fixture to a system whose endpoints have its names.
fn system_of_fixture(receiver: &Receiver) -> System {
    let endpoint = |name: &str, events: &str| {
        let url = receiver.url();
        format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"{events}\"]\n")
    };
    let endpoints = endpoint("default", "*") + &endpoint("archive", "message_*");
    let system = System::with_endpoints(receiver, &endpoints);
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(FIXTURE);
    fs::copy(fixture, system.path("wahook.db")).unwrap();
    system
}

async fn dead(system: &System, arguments: &[&str]) -> Ran {
    let arguments = [&["dead"], arguments].concat();
    let settings = system.borrowed();
    let command = Command::start(ProgramName::Standalone, &arguments, &settings);
    command.await.finish().await
}

/// Waits for exactly these posts, in any order.
async fn receive(receiver: &Receiver, expected: &[Expected]) {
    let posts = receiver.wait_for(expected.len(), AT_LAST).await;
    let found: BTreeMap<_, _> = posts
        .iter()
        .map(|post| {
            let body: Value = serde_json::from_slice(&post.body).unwrap();
            assert_eq!(body["event"].as_str(), post.event());
            let trace = post.header("traceparent").unwrap_or_default();
            let (event, attempt) = (post.event().unwrap(), post.attempt().unwrap());
            (event, (attempt, trace.contains(TRACE)))
        })
        .collect();
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(event, attempt, traced)| (*event, (*attempt, *traced)))
        .collect();
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_version_1_is_migrated_and_everything_in_it_is_delivered() {
    let receiver = Receiver::start().await;
    let system = system_of_fixture(&receiver);
    let keys = "SELECT _id, event FROM webhooklogs";
    let before = system.pairs(keys);
    // The clock of this machine may be behind that of the fixture.
    let due = "UPDATE waiting SET due_at = 1";
    assert_eq!(system.data().execute(due, []).unwrap(), 3);
    let program = system.start().await;
    receive(&receiver, &OPEN).await;
    let post = &receiver.posts()[..];
    let created = post
        .iter()
        .find(|post| post.event() == Some("message_create"));
    let body: Value = serde_json::from_slice(&created.unwrap().body).unwrap();
    let text = "gr\u{fc}\u{df}e \u{65e5}\u{672c} \u{1f469}\u{200d}\u{1f680} \\ \" \u{2028}";
    assert_eq!(body["data"]["body"], text);

    let listed = dead(&system, &["list"]).await;
    for (id, reason) in [
        ("dc8e63d9-094a-5815-a20e-ecbcabb95fb7", "answered 500"),
        ("bad72df8-31bc-5348-b56f-dcd62d8d74f4", "answered 404"),
        ("b0b8e726-2476-5c70-85d0-a08cd5e03d21", "too often"),
        ("40db7062-d87c-5ef9-bedd-108a82eaf952", "undecodable"),
    ] {
        let printed = listed.printed();
        let line = printed.lines().find(|line| line.contains(id));
        assert!(line.is_some_and(|l| l.contains(reason)), "{id}: {printed}");
    }
    receiver.forget();
    let redriven = dead(&system, &["redrive", "--all"]).await;
    let result = "3 of 4 dead letters redriven";
    assert!(redriven.stdout.contains(result), "{redriven:?}");
    receive(&receiver, &DEAD).await;

    // The undecodable dead letter is kept; the result is moved to the log.
    let left = "SELECT count(*) FROM messages";
    eventually(AT_LAST, "one message left", || async {
        (system.count(left) == 1).then_some(())
    })
    .await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    let after = system.pairs(keys);
    assert!(before.iter().all(|record| after.contains(record)));
    // The result, the killed delivery, and three deliveries to the archive.
    assert_eq!(after.len(), before.len() + 5);
    let statuses = "SELECT status, count(*) || '' FROM webhooklogs GROUP BY status ORDER BY 1";
    let expected = [("failed", "1"), ("success", "15")];
    let expected = expected.map(|(status, count)| (status.to_owned(), count.to_owned()));
    assert_eq!(system.pairs(statuses), expected);
}
