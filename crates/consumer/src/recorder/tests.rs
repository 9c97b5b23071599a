use super::*;
use std::sync::Mutex;
use wahook_delivery_log::{LogFuture, WriteReport};
use wahook_domain::{
    Attempt, DeliveryRecord, EndpointName, EventBody, EventId, EventName, QueuedEvent,
};

const MIB: usize = 1 << 20;

/// Log that keeps the sizes of each write.
#[derive(Default)]
struct Sizes(Mutex<Vec<Vec<usize>>>);

impl DeliveryLog for Sizes {
    fn write<'a>(&'a self, results: &'a [AttemptResult]) -> LogFuture<'a, WriteReport> {
        let sizes = results.iter().map(bytes).collect();
        self.0.lock().unwrap().push(sizes);
        Box::pin(async { Ok(WriteReport::default()) })
    }

    fn find<'a>(
        &'a self,
        _: &'a EventId,
        _: &'a EndpointName,
    ) -> LogFuture<'a, Option<DeliveryRecord>> {
        Box::pin(async { Ok(None) })
    }

    fn prepare(&self, _: Option<u32>) -> LogFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    fn ping(&self) -> LogFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// Returns a result with bodies of these sizes; the second is that of exact bytes.
fn result(canonical: usize, exact: usize) -> AttemptResult {
    let body = |bytes| EventBody::as_received(vec![b'x'; bytes].into());
    let (id, name) = (EventId::parse("evt-1"), EventName::parse("ping"));
    let time = UnixMillis::new(1);
    let event = QueuedEvent {
        exact: Some(body(exact)),
        ..QueuedEvent::new(id.unwrap(), name.unwrap(), body(canonical), time)
    };
    let attempt = Attempt::begun(&event, time, "http://127.0.0.1/".into());
    AttemptResult::of(&event, EndpointName::default(), attempt)
}

#[tokio::test]
async fn a_write_ends_with_the_result_that_reaches_its_bytes() {
    let log = Sizes::default();
    let metrics = ConsumerMetrics::new(&prometheus::Registry::new()).unwrap();
    let results = [
        result(MIB, 0),
        result(MIB / 2, MIB / 4),
        result(MIB, MIB),
        result(2 * MIB, 0),
        result(15 * MIB, 0),
        result(1, 0),
    ];
    assert!(write(&log, &results, &metrics).await);
    let written = log.0.into_inner().unwrap();
    let expected = [
        vec![MIB, MIB * 3 / 4, 2 * MIB],
        vec![2 * MIB],
        vec![15 * MIB],
        vec![1],
    ];
    assert_eq!(written, expected);
}
