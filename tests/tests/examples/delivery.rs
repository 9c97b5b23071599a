//! Requests with the headers that the consumer sends.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use wahook_consumer::put_headers;
use wahook_domain::{
    BodyForm, EventBody, EventId, EventName, QueuedEvent, Secret, Signer, UnixMillis,
};
use wahook_runtime::clock;

#[derive(Clone)]
pub(crate) struct Delivery {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Delivery {
    /// Signs an event with the present time.
    pub(crate) fn new(secret: &str, id: &str, body: &str) -> Self {
        Self::sent_at(secret, id, body, 0)
    }

    /// Signs an event with a time that is `offset_s` seconds from now.
    pub(crate) fn sent_at(secret: &str, id: &str, body: &str, offset_s: i64) -> Self {
        let secret = Secret::new(secret.to_owned()).unwrap();
        let signer = Signer::new(secret, None).unwrap();
        let parsed: Value = serde_json::from_str(body).unwrap();
        let now = clock::now();
        let event = QueuedEvent::new(
            EventId::parse(id).unwrap(),
            EventName::parse(parsed["event"].as_str().unwrap()).unwrap(),
            EventBody::check(Bytes::from(body.to_owned())).unwrap(),
            now,
        );
        let mut headers = HeaderMap::new();
        let sent_at = UnixMillis::new(now.get() + offset_s * 1_000);
        put_headers(
            &mut headers,
            &event,
            BodyForm::Canonical,
            Some(&signer),
            sent_at,
        );
        Self {
            headers,
            body: event.body.bytes(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// Replaces a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.remove(name).unwrap();
        self
    }

    /// Replaces the body, but not its signatures.
    pub(crate) fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}
