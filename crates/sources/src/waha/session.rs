//! State of a session, and calls.

use wahook_domain::{KnownEvent, json::Node};

use super::{Event, messages};
use crate::{
    Key, Part, compose,
    member::{is_true, text},
    moment::moment,
    posted::Subject,
};

/// Returns the state of a session; the states of its start keep their name.
pub(super) fn status<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let (known, data) = match text(&payload, &["status"]).as_deref() {
        Some("WORKING") => {
            let data = compose::ready(&event.own_name, &event.own_id);
            (KnownEvent::Ready, data)
        }
        Some("STOPPED") => (KnownEvent::Disconnected, compose::disconnected("STOPPED")),
        Some("FAILED") => {
            let message = "the session failed: authorize it again or restart it";
            (KnownEvent::AuthFailure, compose::auth_failure(message))
        }
        _ => return messages::other(event, payload),
    };
    let subject = Subject::chat(None, event.posted.key.clone());
    event.posted.known(known, subject, event.posted.sent, data)
}

pub(super) fn call<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    let (id, from) = (text(&payload, &["id"]), text(&payload, &["from"]));
    let (Some(id), Some(from)) = (id, from) else {
        return messages::other(event, payload);
    };
    let timestamp = moment(&payload, &["timestamp"]);
    let call = compose::Call {
        id: id.as_ref().into(),
        from: from.as_ref().into(),
        timestamp,
        is_video: is_true(&payload, &["isVideo"]),
        is_group: is_true(&payload, &["isGroup"]),
        status: None,
    };
    let subject = Subject::chat(Some(from.into()), Key::Text(id.into()));
    let (known, data) = (KnownEvent::Call, call.into_data());
    event.posted.known(known, subject, timestamp, data)
}
