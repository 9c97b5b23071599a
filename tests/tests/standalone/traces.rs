//! Traces of events in one process, and collectors that take none.

use std::time::Duration;

use tokio::net::TcpListener;
use wahook_tests::collector::{self, Collector};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;
use wahook_tests::receiver::Receiver;
use wahook_tests::retried_trace::{self, Expected, SPANS};

use crate::system::System;

/// The exporter repeats a request for ten seconds before it gives up.
const EXPORT_GIVEN_UP: Duration = Duration::from_secs(60);
const EVENTS: usize = 20;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn system(receiver: &Receiver, address: [(&str, String); 2], more: &[(&str, &str)]) -> System {
    let mut settings = vec![("WEBHOOK_RETRY_DELAY", "100")];
    settings.extend(address.iter().map(|(name, value)| (*name, value.as_str())));
    settings.extend(more);
    System::new(receiver, &settings)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_fails_twice_is_one_trace_in_one_process() {
    let collector = Collector::start().await;
    let receiver = retried_trace::receiver().await;
    let named = [
        ("OTEL_SERVICE_NAME", "hooks"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=50%25%20secret"),
    ];
    let system = system(&receiver, collector.settings(), &named);
    let _program = system.start().await;
    let id = system.send("call").await;
    let posts = receiver.wait_for(3, AT_LAST).await;
    let spans = collector.wait_for(SPANS, AT_LAST).await;
    let expected = Expected {
        sender: None,
        services: ("hooks", "hooks"),
        system: "wahook",
        id: &id,
        posts: &posts,
    };
    retried_trace::assert_is_one(&spans, expected);
    assert!(collector.all_have("api-key", "50% secret"));
    eventually(AT_LAST, "the number of exported spans", || async {
        let metrics = system.metrics().await;
        let exported = metrics.get("wahook_traces_spans_exported_total");
        (exported == Some(SPANS as f64)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_collector_that_refuses_or_never_answers_are_delivered() {
    // It accepts connections into its backlog and never reads.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ports = [free_port().unwrap(), silent.local_addr().unwrap().port()];
    for port in ports {
        let receiver = Receiver::start().await;
        let address = collector::settings(&format!("http://127.0.0.1:{port}"));
        let system = system(&receiver, address, &[]);
        let program = system.start().await;
        for _ in 0..EVENTS {
            system.send("call").await;
        }
        receiver.wait_for(EVENTS, AT_LAST).await;
        eventually(EXPORT_GIVEN_UP, "dropped spans", || async {
            let metrics = system.metrics().await;
            let name = "wahook_traces_spans_dropped_total{reason=\"export_failed\"}";
            metrics.get(name).filter(|spans| *spans > 0.0)
        })
        .await;
        program.terminate();
        assert!(program.wait_exit(AT_LAST).await.success());
        let log = program.stderr_so_far();
        assert_eq!(log.matches("traces not exported").count(), 1, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_exported_of_a_trace_that_is_not_sampled() {
    let off = [("OTEL_TRACES_SAMPLER", "always_off")];
    for (more, flags) in [(&off[..], "01"), (&off[..0], "00")] {
        let (collector, receiver) = (Collector::start().await, Receiver::start().await);
        let system = system(&receiver, collector.settings(), more);
        let program = system.start().await;
        let parent = format!("00-{TRACE}-b7ad6b7169203331-{flags}");
        let request = http_client()
            .unwrap()
            .post(format!("{}/v1/events", system.events))
            .header("content-type", "application/json")
            .header("traceparent", &parent)
            .body("{\"event\":\"call\"}");
        assert_eq!(request.send().await.unwrap().status(), 202);
        let posts = receiver.wait_for(1, AT_LAST).await;
        let sent = posts[0].header("traceparent").unwrap();
        assert!(sent.starts_with(&format!("00-{TRACE}-")), "{sent}");
        assert!(sent.ends_with("-00") && sent != parent, "{sent}");
        // The last spans are exported before the program ends.
        program.terminate();
        assert!(program.wait_exit(AT_LAST).await.success());
        assert_eq!(collector.requests(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_spans_are_exported_before_the_program_ends() {
    let (collector, receiver) = (Collector::start().await, Receiver::start().await);
    let [address, (delay, _)] = collector.settings();
    let rarely = [address, (delay, "600000".to_owned())];
    let system = system(&receiver, rarely, &[]);
    let program = system.start().await;
    system.ended("call", "success").await;
    assert_eq!(collector.requests(), 0);
    program.terminate();
    assert!(program.wait_exit(AT_LAST).await.success());
    collector.wait_for(4, AT_LAST).await;
}
