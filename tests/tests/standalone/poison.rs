//! Message that crashes its process at each delivery.

use std::time::Duration;

use bytes::Bytes;
use wahook_domain::{
    EndpointName, EventBody, EventId, EventName, EventPattern, QueuedEvent, UnixMillis,
};
use wahook_embedded::Store;
use wahook_queue::{ConsumerConnection, Outgoing, Publisher, Topology, topology::DEAD_QUEUE};
use wahook_tests::folder::RunFolder;

const WORK: &str = "wahook.deliver.default";

fn event(id: &str) -> QueuedEvent {
    let body = br#"{"event":"call","data":{},"timestamp":1}"#;
    QueuedEvent::new(
        EventId::parse(id).unwrap(),
        EventName::parse("call").unwrap(),
        EventBody::check(Bytes::from_static(body)).unwrap(),
        UnixMillis::new(1),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_crashes_its_process_each_time_is_dead_lettered() {
    let folder = RunFolder::temporary("poison").unwrap();
    let (name, every) = (EndpointName::default(), [EventPattern::Every]);
    let topology = Topology::deliveries([(&name, every.as_slice(), None)], &[]);
    let mut deliveries = 0;
    loop {
        let store = Store::open(&folder.join("data.db")).unwrap();
        let broker = store.broker();
        let connection = ConsumerConnection::connect(&broker, "test", &topology)
            .await
            .unwrap();
        if deliveries == 0 {
            let limit = Duration::from_secs(20);
            let (publisher, _) = Publisher::start(broker, "test", Topology::events(), limit);
            for id in ["deadly", "innocent"] {
                publisher
                    .publish(Outgoing::event(&event(id)))
                    .await
                    .unwrap();
            }
        }
        let received = connection.take_one(WORK).await.unwrap().unwrap();
        assert_eq!(received.redelivered, deliveries > 0);
        if received.event().unwrap().id.as_str() == "innocent" {
            let dead_letter = connection
                .take_one(DEAD_QUEUE)
                .await
                .unwrap()
                .unwrap()
                .dead_letter();
            assert_eq!(dead_letter.id.as_deref(), Some("deadly"));
            let reason = &dead_letter.reason;
            assert!(reason.contains("too often"), "{reason}");
            break;
        }
        deliveries += 1;
        assert!(deliveries <= 101, "the delivery limit has no effect");
        // The store is dropped first, so that the message is redelivered only from the file.
        drop(store);
        drop(received);
    }
    // The first delivery, and 100 redeliveries after a start.
    assert_eq!(deliveries, 101);
}
