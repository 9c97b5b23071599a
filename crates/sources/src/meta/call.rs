//! Calls.

use wahook_domain::{KnownEvent, json::Node};

use super::{Change, known, own};
use crate::{Key, Part, compose, member::text, moment::moment, posted::Subject};

pub(super) fn part<'a>(change: &Change<'_>, item: Node<'a>) -> Part<'a> {
    let member = |name: &str| text(&item, &[name]).map(String::from);
    let from = member("from").or_else(|| member("from_user_id"));
    let (Some(id), Some(from)) = (member("id"), from) else {
        return own(change, Subject::chat(None, Key::None), item);
    };
    let event = member("event").unwrap_or_default();
    let is_outgoing = member("direction").is_some_and(|way| way == "BUSINESS_INITIATED");
    let chat = if is_outgoing {
        member("to")
    } else {
        Some(from.clone())
    };
    let subject = Subject::chat(chat, Key::Text(format!("{id} {event}")));
    // The end of a call has no documented counterpart.
    if event != "connect" {
        return own(change, subject, item);
    }
    let call = compose::Call {
        id,
        from,
        timestamp: moment(&item, &["timestamp"]),
        is_video: false,
        is_group: false,
        status: None,
    };
    known(change, KnownEvent::Call, subject, item, call.into_data())
}
