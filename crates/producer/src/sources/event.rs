//! Events of a request, in the form in which they are delivered.

use axum::{
    body::Bytes,
    http::{HeaderMap, header},
};
use std::{borrow::Cow, sync::Arc};
use wahook_domain::{
    ContentHash, EventBody, EventId, EventName, Origin, ReceivedForm, UnixMillis, compose, json,
};
use wahook_sources::{
    Identity, Key, Part, Received, Refusal, Request, adapt, redact, redact_body, source_member,
};

use super::{
    credentials::Address,
    source::{Form, Source},
};

/// Largest total size of the headers that are handed on, in bytes.
const MAX_HEADERS: usize = 8 << 10;

/// Longest text of an origin, in bytes of JSON: all properties of a message must fit into one frame
/// of 16 KiB.
const LONGEST_TEXT: usize = 512;

/// Event to publish.
#[derive(Debug)]
pub(crate) struct SourcedEvent {
    pub(crate) name: EventName,
    pub(crate) body: EventBody,
    /// Id and content; `None` if nothing distinguishes the event from an equal one.
    pub(crate) content: Option<ContentHash>,
    pub(crate) origin: Arc<Origin>,
}

impl SourcedEvent {
    /// Returns the id, which is fresh if the event has no content of its own.
    pub(crate) fn id(&self, fresh: impl FnOnce() -> EventId) -> EventId {
        self.content.map_or_else(fresh, EventId::from)
    }
}

/// Returns the events of a request.
pub(crate) fn events(
    source: &Source,
    address: &Address<'_>,
    headers: &HeaderMap,
    body: &Bytes,
    now: UnixMillis,
) -> Result<Vec<SourcedEvent>, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE);
    let request = Request {
        path: address.path,
        query: address.query,
        content_type: content_type.and_then(|value| value.to_str().ok()),
        body,
    };
    let received = Received::read(&request)?;
    let json = redact(received.json(), &source.redacted);
    let payload = json::parse(&json)?;
    let adapted = adapt(source.kind, &request, payload)?;
    if source.form == Form::AsReceived {
        let form = ReceivedForm {
            content_type: request.content_type.map(str::to_owned),
            headers: handed_on(source, headers),
        };
        let content = content(source, &adapted.whole, body, 0);
        return Ok(vec![SourcedEvent {
            body: EventBody::as_received(redacted_body(source, &request, body)),
            content,
            origin: origin(source, &adapted.whole, Some(form)),
            name: adapted.whole.name,
        }]);
    }
    let parts = adapted.parts.into_iter().enumerate();
    let event = |(number, part): (usize, Part<'_>)| {
        let identity = &part.identity;
        let member = source_member(source.kind, &source.name, identity);
        let timestamp = part.timestamp.unwrap_or(now);
        SourcedEvent {
            body: compose(&identity.name, part.data, timestamp, member),
            content: content(source, identity, body, number),
            origin: origin(source, identity, None),
            name: identity.name.clone(),
        }
    };
    Ok(parts.map(event).collect())
}

fn origin(source: &Source, identity: &Identity, received: Option<ReceivedForm>) -> Arc<Origin> {
    Arc::new(Origin {
        source: source.name.clone(),
        session: short(&identity.session),
        chat: short(&identity.chat),
        message_id: short(&identity.message_id),
        received,
    })
}

/// Returns a text that is not too long for a header of the message.
fn short(text: &Option<String>) -> Option<String> {
    let is_short = |text: &&String| {
        let json = serde_json::to_string(text);
        json.is_ok_and(|json| json.len() <= LONGEST_TEXT)
    };
    text.as_ref().filter(is_short).cloned()
}

/// Returns what identifies an event, so that one which a gateway posts twice has the same id.
fn content(
    source: &Source,
    identity: &Identity,
    body: &[u8],
    number: usize,
) -> Option<ContentHash> {
    let (key, number) = match &identity.key {
        Key::Text(text) => (text.as_bytes(), String::new()),
        Key::Content => (body, number.to_string()),
        Key::None => return None,
    };
    let session = identity.session.as_deref().unwrap_or_default();
    let chat = identity.chat.as_deref().unwrap_or_default();
    Some(ContentHash::of_parts(&[
        source.name.as_str().as_bytes(),
        session.as_bytes(),
        chat.as_bytes(),
        identity.name.as_str().as_bytes(),
        number.as_bytes(),
        key,
    ]))
}

/// Returns the headers by which the endpoint can verify the gateway's own signature.
fn handed_on(source: &Source, headers: &HeaderMap) -> Vec<(String, String)> {
    let mut left = MAX_HEADERS;
    let names = source.kind.handed_on_headers().iter();
    let values = names.filter_map(|name| Some((*name, headers.get(*name)?.to_str().ok()?)));
    values
        .filter(|(name, value)| {
            let bytes = name.len() + value.len();
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        })
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Returns the body as it is delivered: without the values to redact, otherwise unchanged.
fn redacted_body(source: &Source, request: &Request<'_>, body: &Bytes) -> Bytes {
    match redact_body(request, &source.redacted) {
        Cow::Borrowed(_) => body.clone(),
        Cow::Owned(redacted) => redacted.into(),
    }
}
