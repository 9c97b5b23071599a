//! Headers of a delivery.

use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use wahook_domain::{BodyForm, Origin, QueuedEvent, Signer, UnixMillis};

const SIGNATURE: HeaderName = HeaderName::from_static("x-webhook-signature");
const EVENT: HeaderName = HeaderName::from_static("x-webhook-event");
const ATTEMPT: HeaderName = HeaderName::from_static("x-webhook-attempt");
const REDELIVERY: HeaderName = HeaderName::from_static("x-webhook-redelivery");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const SOURCE: HeaderName = HeaderName::from_static("x-webhook-source");
const SESSION: HeaderName = HeaderName::from_static("x-webhook-session");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// Sets the request's headers for a body in the form `form`. `now` is the timestamp of the
/// Standard Webhooks signature; each attempt has its own, since receivers reject old ones.
pub fn put_headers(
    headers: &mut HeaderMap,
    event: &QueuedEvent,
    form: BodyForm,
    signer: Option<&Signer>,
    now: UnixMillis,
) {
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    // Each value below is printable ASCII by the rule of its type. An invalid value
    // would be left out rather than stop the delivery.
    let mut put = |name: HeaderName, value: Bytes| {
        if let Ok(value) = HeaderValue::from_maybe_shared(value) {
            headers.insert(name, value);
        }
    };
    put(
        EVENT,
        Bytes::copy_from_slice(event.name.as_str().as_bytes()),
    );
    put(ATTEMPT, event.attempt.get().to_string().into());
    put(
        WEBHOOK_ID,
        Bytes::copy_from_slice(event.id.as_str().as_bytes()),
    );
    put(WEBHOOK_TIMESTAMP, now.seconds().to_string().into());
    if let Some(signer) = signer {
        let body = event.body_in(form).as_bytes();
        put(SIGNATURE, signer.body_signature(body).into());
        put(
            WEBHOOK_SIGNATURE,
            signer
                .standard_webhooks(&event.id, now.seconds(), body)
                .into(),
        );
    }
    if event.is_redelivery {
        put(REDELIVERY, Bytes::from_static(b"true"));
    }
    if let Some(traceparent) = &event.traceparent {
        put(TRACEPARENT, traceparent.clone().into());
    }
    if let Some(context) = event.propagated.as_deref() {
        let lists = [
            (TRACESTATE, &context.tracestate),
            (BAGGAGE, &context.baggage),
        ];
        for (name, list) in lists {
            if let Some(list) = list {
                put(name, list.clone().into());
            }
        }
    }
    if let Some(origin) = event.origin.as_deref() {
        put_origin(headers, origin);
    }
}

/// Sets the headers of an event that a gateway posted in its own form. A session's name that
/// a header cannot have is left out.
fn put_origin(headers: &mut HeaderMap, origin: &Origin) {
    let received = origin.received.as_ref();
    let source = [(SOURCE, Some(origin.source.as_str()))];
    let session = [(SESSION, origin.session.as_deref())];
    let content_type = received.and_then(|form| form.content_type.as_deref());
    let own = source.into_iter().chain(session);
    for (name, value) in own.chain([(header::CONTENT_TYPE, content_type)]) {
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    }
    for (name, value) in received.iter().flat_map(|form| &form.headers) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}
