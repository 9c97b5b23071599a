//! Request of Evolution.

use wahook_domain::{EventName, json::Node};

use crate::{Key, Refusal, Request, member::text, name::normalise, posted::Posted};

/// Request of Evolution, without its data.
pub(super) struct Event {
    pub posted: Posted,
    /// JID of the instance's own number.
    pub own_id: String,
    /// Time at which the gateway sends the event, to the millisecond. A text: it is the local
    /// time of the gateway, written as if it were UTC.
    pub sent: Option<String>,
}

impl Event {
    pub(super) fn of(request: &Request<'_>, payload: &Node<'_>) -> Result<Self, Refusal> {
        let member = |name| text(payload, &[name]).map(String::from);
        let sent = member("date_time");
        let posted = Posted {
            name: name(request, payload)?,
            session: member("instance"),
            sent: None,
            key: sent.as_ref().map_or(Key::None, |_| Key::Content),
        };
        Ok(Self {
            posted,
            own_id: member("sender").unwrap_or_default(),
            sent,
        })
    }
}

fn name(request: &Request<'_>, payload: &Node<'_>) -> Result<EventName, Refusal> {
    let of_body = text(payload, &["event"]).and_then(|name| normalise(&name));
    let of_path = || request.path.rsplit('/').next().and_then(normalise);
    of_body.or_else(of_path).ok_or_else(|| {
        Refusal::NotAnEvent("the body is not an event of Evolution: it has no `event`".to_owned())
    })
}
