//! A message that ends its process each time it is handed out.

use std::time::Duration;

use bytes::Bytes;
use wahook_domain::{
    AttemptNumber, CanonicalBody, EndpointName, EventId, EventName, EventPattern, QueuedEvent,
    UnixMillis,
};
use wahook_embedded::Store;
use wahook_queue::{ConsumerConnection, Outgoing, Publisher, Topology, topology::DEAD_QUEUE};
use wahook_tests::folder::RunFolder;

const WORK: &str = "wahook.deliver.default";

fn event(id: &str) -> QueuedEvent {
    let body = br#"{"event":"call","data":{},"timestamp":1}"#;
    QueuedEvent {
        id: EventId::parse(id).unwrap(),
        name: EventName::parse("call").unwrap(),
        body: CanonicalBody::check(Bytes::from_static(body)).unwrap(),
        attempt: AttemptNumber::FIRST,
        accepted_at: UnixMillis::new(1),
        redriven_at: None,
        traceparent: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_ends_its_process_each_time_is_a_dead_letter_in_the_end() {
    let folder = RunFolder::temporary("poison").unwrap();
    let (name, every) = (EndpointName::default(), [EventPattern::Every]);
    let topology = Topology::deliveries([(&name, every.as_slice())], &[]);
    let mut handed_out = 0;
    loop {
        let store = Store::open(&folder.join("data.db")).unwrap();
        let broker = store.broker();
        let intake = ConsumerConnection::connect(&broker, "test", &topology)
            .await
            .unwrap();
        if handed_out == 0 {
            let limit = Duration::from_secs(20);
            let (publisher, _) = Publisher::start(broker, "test", Topology::events(), limit);
            for id in ["deadly", "innocent"] {
                publisher
                    .publish(Outgoing::event(&event(id)))
                    .await
                    .unwrap();
            }
        }
        let received = intake.take_one(WORK).await.unwrap().unwrap();
        assert_eq!(received.redelivered, handed_out > 0);
        if received.event().unwrap().id.as_str() == "innocent" {
            let letter = intake.take_one(DEAD_QUEUE).await.unwrap().unwrap().letter();
            assert_eq!(letter.id.as_deref(), Some("deadly"));
            assert!(letter.reason.contains("too often"), "{}", letter.reason);
            break;
        }
        handed_out += 1;
        assert!(handed_out <= 101, "it goes on for ever");
        // The store is gone first: the message comes back no other way than by the file.
        drop(store);
        drop(received);
    }
    // Once in the process that took it, and 100 times after a start.
    assert_eq!(handed_out, 101);
}
