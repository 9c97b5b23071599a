//! Any sender of JSON.
//!
//! The event's name is the last segment of the path, or the member `event`, `type`,
//! `eventType`, `action` or `topic`, or `event`. The payload is the whole body.

use wahook_domain::{EventName, json::Node};

use crate::{
    Adapted, Identity, Key, Refusal, Request,
    member::{as_object, text},
    name::normalise,
};

/// Members that name the event, in order of preference.
const NAMES: [&str; 5] = ["event", "type", "eventType", "action", "topic"];

/// Members that identify the event.
const IDS: [&str; 4] = ["id", "eventId", "event_id", "messageId"];

pub(crate) fn adapt<'a>(request: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let named = |name: &str| text(&payload, &[name]).and_then(|name| normalise(&name));
    let of_path = request.path.rsplit('/').next().and_then(normalise);
    let name = of_path.or_else(|| NAMES.into_iter().find_map(named));
    let id = IDS.into_iter().find_map(|name| text(&payload, &[name]));
    let session = text(&payload, &["session"]).or_else(|| text(&payload, &["sessionId"]));
    let identity = Identity {
        session: session.map(Into::into),
        key: id.map_or(Key::None, |id| Key::Text(id.into())),
        ..Identity::named(name.map_or_else(default_name, Ok)?)
    };
    Ok(Adapted::single(identity, None, as_object(payload)))
}

fn default_name() -> Result<EventName, Refusal> {
    normalise("event").ok_or_else(|| Refusal::NotAnEvent("the event has no name".to_owned()))
}
