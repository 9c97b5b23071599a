//! A disk that is full.

use std::time::Duration;

use bytes::Bytes;
use wahook_delivery_log::DeliveryLog;
use wahook_domain::{
    AttemptNumber, CanonicalBody, EndpointName, EventId, EventName, EventPattern, QueuedEvent,
    UnixMillis,
};
use wahook_embedded::Store;
use wahook_queue::{Intake, Outgoing, PublishError, Publisher, Topology};
use wahook_tests::folder::RunFolder;
use wahook_tests::small_disk::SmallDisk;

const SOON: Duration = Duration::from_secs(20);
const WORK: &str = "wahook.deliver.default";

fn event(n: usize) -> QueuedEvent {
    let text = "x".repeat(2_000);
    let body = format!(r#"{{"event":"call","data":{{"text":"{text}"}},"timestamp":1}}"#);
    QueuedEvent {
        id: EventId::parse(&format!("evt-{n}")).unwrap(),
        name: EventName::parse("call").unwrap(),
        body: CanonicalBody::check(Bytes::from(body)).unwrap(),
        attempt: AttemptNumber::FIRST,
        accepted_at: UnixMillis::new(1),
        redriven_at: None,
        traceparent: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_events_are_refused_nothing_is_lost_and_room_heals_it() {
    let folder = RunFolder::temporary("full-disk").unwrap();
    let disk = SmallDisk::mount(&folder.join("disk"), 16).await.unwrap();
    let file = disk.path().join("data.db");
    let store = Store::open(&file).unwrap();
    let (name, every) = (EndpointName::default(), [EventPattern::Every]);
    let topology = Topology::deliveries([(&name, every.as_slice())], &[]);
    let (publisher, _task) = Publisher::start(store.broker(), "test", topology.clone(), SOON);
    let mut confirmed = Vec::new();
    publisher.publish(Outgoing::event(&event(0))).await.unwrap();
    confirmed.push("evt-0".to_owned());
    let intake = Intake::connect(&store.broker(), "test", &topology)
        .await
        .unwrap();
    let held = intake.take_one(WORK).await.unwrap().unwrap();
    disk.fill().unwrap();
    let refused = loop {
        let event = event(confirmed.len());
        match publisher.publish(Outgoing::event(&event)).await {
            Ok(()) => confirmed.push(event.id.to_string()),
            Err(error) => break error,
        }
        assert!(confirmed.len() < 10_000, "a full disk takes no 20 MB");
    };
    assert!(
        matches!(refused, PublishError::Refused | PublishError::Blocked),
        "{refused}"
    );
    let log = store.log();
    assert!(log.ping().await.is_err(), "the log says so too");
    assert!(publisher.link().borrow().blocked.is_some(), "and readiness");
    // Settled while nothing can be written: it must neither come back nor be forgotten.
    held.receipt.ack().await.unwrap();
    disk.make_room().unwrap();
    let mut link = publisher.link();
    let healed = tokio::time::timeout(SOON, link.wait_for(|link| link.blocked.is_none())).await;
    assert!(healed.is_ok(), "room heals it");
    drop(healed);
    log.ping().await.unwrap();
    publisher
        .publish(Outgoing::event(&event(9_999)))
        .await
        .unwrap();
    confirmed.push("evt-9999".to_owned());
    drop(store);
    let store = Store::open(&file).unwrap();
    let intake = Intake::connect(&store.broker(), "test", &topology)
        .await
        .unwrap();
    for expected in &confirmed[1..] {
        let received = intake
            .take_one(WORK)
            .await
            .unwrap()
            .expect("nothing is lost");
        assert_eq!(received.event().unwrap().id.as_str(), expected);
        received.receipt.ack().await.unwrap();
    }
    assert!(intake.take_one(WORK).await.unwrap().is_none());
}
