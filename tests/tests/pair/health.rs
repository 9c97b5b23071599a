//! Command `health`: reports the health of a running program by its exit status.

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::Receiver;

use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("health_reports_the_state_of_a_running_program", running);
    tests.add(
        "a_program_without_a_broker_is_alive_and_not_ready",
        no_broker,
    );
    tests.add(
        "a_producer_without_sources_survives_sighup",
        hangup_without_sources,
    );
}

async fn health(name: ProgramName, listen: &str, arguments: &[&str]) -> Ran {
    let arguments = [&["health"], arguments].concat();
    let settings = [(name.listen_variable(), listen)];
    eventually(AT_LAST, "an answer in time", || async {
        let command = Command::start(name, &arguments, &settings).await;
        let ran = command.finish().await;
        (!ran.stderr.contains("did not answer within")).then_some(ran)
    })
    .await
}

fn address(base_url: &str) -> String {
    base_url.trim_start_matches("http://").to_owned()
}

async fn running(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    let consumer = pair.take_consumer();
    let places = [
        (ProgramName::Producer, address(&pair.producer.base_url())),
        (ProgramName::Consumer, address(&consumer.base_url())),
    ];
    for (name, listen) in &places {
        for arguments in [[].as_slice(), &["--ready"]] {
            let ran = health(*name, listen, arguments).await;
            assert_eq!(ran.printed(), "", "{name} {arguments:?}");
        }
    }
    consumer.kill9().await;
    let (name, listen) = &places[1];
    let ran = health(*name, listen, &[]).await;
    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.stderr.contains("can't be reached"), "{}", ran.stderr);
    let ran = health(*name, "9091", &[]).await;
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stderr.contains("CONSUMER_LISTEN"), "{}", ran.stderr);
}

async fn no_broker(_: Test) {
    let settings = [("AMQP_URL", "amqp://127.0.0.1:1")];
    let producer = Program::producer(&settings).await;
    let listen = address(&producer.base_url());
    let alive = health(ProgramName::Producer, &listen, &[]).await;
    assert!(alive.status.success(), "{}", alive.stderr);
    let ready = health(ProgramName::Producer, &listen, &["--ready"]).await;
    assert_eq!(ready.status.code(), Some(1));
    assert!(
        ready
            .stderr
            .starts_with("wahook-producer health: not ready: broker: "),
        "{}",
        ready.stderr
    );
    producer.terminate();
    producer.wait_exit(AT_LAST).await;
}

async fn hangup_without_sources(_test: Test) {
    let settings = [("AMQP_URL", "amqp://127.0.0.1:1"), ("RUST_LOG", "debug")];
    let producer = Program::producer(&settings).await;
    producer.hang_up();
    producer.wait_logged("sources are not reloaded").await;
    assert!(producer.is_running());
}
