//! Context of a trace: from the request of a gateway over a restart to the webhook.

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::receiver::{Answer, Receiver};

use crate::system::System;

const CONTEXT: [(&str, &str); 3] = [
    (
        "traceparent",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ),
    ("tracestate", "congo=t61rcWkgMzE"),
    ("baggage", "user=alice"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_context_of_a_request_is_handed_on_with_each_attempt_also_after_a_restart() {
    let receiver = Receiver::answering(|post| {
        Answer::status(if post.attempt() == Some(1) { 500 } else { 200 })
    });
    let receiver = receiver.await;
    let system = System::new(&receiver, &[("WEBHOOK_RETRY_DELAY", "20000")]);
    let program = system.start().await;
    let mut request = http_client()
        .unwrap()
        .post(format!("{}/v1/events", system.events))
        .header("content-type", "application/json");
    for (name, value) in CONTEXT {
        request = request.header(name, value);
    }
    let answer = request.body("{\"event\":\"call\"}").send().await.unwrap();
    assert_eq!(answer.status(), 202);
    eventually(AT_LAST, "a retry that waits", || async {
        (system.count("SELECT count(*) FROM waiting") == 1).then_some(())
    })
    .await;
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    let _program = system.start().await;
    for post in receiver.wait_for(2, AT_LAST).await {
        for (name, value) in CONTEXT {
            assert_eq!(post.header(name), Some(value));
        }
    }
}
