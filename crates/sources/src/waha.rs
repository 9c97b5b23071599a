//! WAHA with the engines WEBJS, WPP, NOWEB and GOWS:
//! `{id, timestamp, event, session, me, payload, …}`.

mod content;
mod groups;
mod messages;
mod session;

use wahook_domain::json::Node;

use crate::{
    Adapted, Key, Part, Refusal, Request,
    member::{at, into_member, text},
    moment::moment,
    name::normalise,
    posted::Posted,
};

/// Request of WAHA, without its payload.
struct Event {
    posted: Posted,
    /// Contact of the session; both are empty until it is authenticated.
    own_id: String,
    own_name: String,
}

pub(crate) fn adapt<'a>(_: &Request<'_>, body: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let member = |path: &[&str]| text(&body, path).map(String::from);
    let name = text(&body, &["event"]).and_then(|name| normalise(&name));
    let name = name.ok_or_else(|| {
        Refusal::NotAnEvent("the body is not an event of WAHA: it has no `event`".to_owned())
    })?;
    let event = Event {
        posted: Posted {
            name,
            session: member(&["session"]),
            sent: moment(&body, &["timestamp"]),
            key: key(&body),
        },
        own_id: member(&["me", "id"]).unwrap_or_default(),
        own_name: member(&["me", "pushName"]).unwrap_or_default(),
    };
    let payload = into_member(body, &["payload"]).unwrap_or(Node::Null);
    let part = part(&event, payload);
    Ok(event.posted.adapted(vec![part]))
}

/// Returns the key of an event without an id of its own: WAHA's id of the event. Versions
/// before 2025.3 have none.
fn key(body: &Node<'_>) -> Key {
    if let Some(id) = text(body, &["id"]) {
        return Key::Text(id.into());
    }
    let times: [&[&str]; 2] = [&["timestamp"], &["payload", "timestamp"]];
    let is_timed = times.into_iter().any(|path| moment(body, path).is_some());
    if is_timed || at(body, &["payload", "statuses"]).is_some() {
        Key::Content
    } else {
        Key::None
    }
}

fn part<'a>(event: &Event, payload: Node<'a>) -> Part<'a> {
    match event.posted.name.as_str() {
        "message" | "message.any" => messages::created(event, payload),
        "message.ack" | "message.ack.group" => messages::ack(event, payload),
        "message.reaction" => messages::reaction(event, payload),
        "message.revoked" => messages::revoked(event, payload),
        "message.edited" => messages::edited(event, payload),
        "poll.vote" | "poll.vote.failed" => messages::vote(event, payload),
        "group.join" | "group.leave" => groups::notified(event, payload),
        "group.v2.join" | "group.v2.leave" => groups::own_membership(event, payload),
        "group.v2.participants" => groups::participants(event, payload),
        "group.v2.update" => groups::updated(event, payload),
        "call.received" => session::call(event, payload),
        "session.status" => session::status(event, payload),
        _ => messages::other(event, payload),
    }
}
