//! Checks of the bodies that were sent, next to payloads that do not give them back.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use wahook_delivery_log::LoggedDelivery;
use wahook_domain::{
    AttemptResult, EndpointName, EventBody, EventId, Omitted, Origin, Original, ReceivedForm, Sent,
    SourceName,
};

use crate::checks::{delivered, exhausted, failed, write};
use crate::logs::Readable;

/// Form that no JSON payload gives back.
const BYTES: &[u8] = b"jsonData=%7B%22type%22%3A%22QR%22%7D&token=\x00\xff";

fn form() -> ReceivedForm {
    ReceivedForm {
        content_type: Some("application/x-www-form-urlencoded".to_owned()),
        headers: vec![
            ("x-webhook-hmac".to_owned(), "00ff".to_owned()),
            ("x-webhook-hmac-algorithm".to_owned(), "sha512".to_owned()),
        ],
    }
}

/// Returns a result whose event was delivered as a gateway posted it.
pub(crate) fn as_received(result: AttemptResult) -> AttemptResult {
    let origin = Origin {
        source: SourceName::parse("shop").unwrap(),
        session: Some("s1".to_owned()),
        chat: Some("4915112345678@c.us".to_owned()),
        message_id: None,
        received: Some(form()),
    };
    AttemptResult {
        body: EventBody::as_received(Bytes::from_static(BYTES)),
        origin: Some(Arc::new(origin)),
        ..result
    }
}

pub(crate) async fn logged(at: &impl Readable, id: &str) -> LoggedDelivery {
    let id = EventId::parse(id).unwrap();
    let logged = at.search().delivery(&id, &EndpointName::default()).await;
    logged.unwrap().expect("a record")
}

pub(crate) async fn bytes_that_the_payload_does_not_give_back_are_stored(log: &impl Readable) {
    let sent = Bytes::from_static(b"{ \"data\": {\"n\": 9007199254740993} }");
    let exact = AttemptResult {
        original: Original::Exact(EventBody::as_received(sent.clone())),
        ..delivered("exact", 1)
    };
    let results = [
        as_received(failed("received", 1)),
        as_received(exhausted("received", 2)),
        exact,
        delivered("documented", 1),
    ];
    for result in &results {
        write(log, std::slice::from_ref(result)).await;
    }
    let received = logged(log, "received").await.sent;
    let expected = Sent {
        received: Some(form()),
        omitted: None,
        body: Some(Bytes::from_static(BYTES)),
    };
    assert_eq!(received, Some(expected));
    let exact = logged(log, "exact").await.sent;
    let expected = Sent {
        body: Some(sent),
        ..Sent::default()
    };
    assert_eq!(exact, Some(expected));
    assert_eq!(logged(log, "documented").await.sent, None);
    let field = log.field("documented/default", "sent").await;
    assert_eq!(field, Value::Null);
}

pub(crate) async fn bytes_of_events_with_values_to_redact_are_not_stored(log: &impl Readable) {
    let redacting = log.redacting("message_create=/data/none");
    let result = as_received(delivered("received", 1));
    redacting.write(&[result]).await.unwrap();
    let expected = Sent::without_body(Some(form()), Omitted::Redacted);
    assert_eq!(logged(log, "received").await.sent, Some(expected));
}
