//! Connection of an instance.

use wahook_domain::{KnownEvent, json::Node};

use super::{event::Event, subjects};
use crate::{
    Part, compose,
    member::{at, number, text},
    posted::Subject,
};

/// Status codes of Baileys with a documented reason of a disconnection.
const LOGGED_OUT: f64 = 401.0;
const REPLACED: f64 = 440.0;

/// Returns the state of the connection; `connecting` keeps its name.
pub(super) fn connection<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let (known, data) = match text(&node, &["state"]).as_deref() {
        Some("open") => {
            let name = text(&node, &["profileName"]).unwrap_or_default();
            let own_id = text(&node, &["wuid"]).unwrap_or(event.own_id.as_str().into());
            (KnownEvent::Ready, compose::ready(&name, &own_id))
        }
        Some("close") => {
            let data = compose::disconnected(&reason(&node));
            (KnownEvent::Disconnected, data)
        }
        // The limit of QR codes is reached.
        Some("refused") => (KnownEvent::Disconnected, compose::disconnected("REFUSED")),
        _ => return subjects::own(event, node),
    };
    event.posted.known(known, subject(event), None, data)
}

/// Returns a QR code under its own name, or a failure when there are no more.
pub(super) fn qr_code<'a>(event: &Event, node: Node<'a>) -> Part<'a> {
    let message = match text(&node, &["message"]) {
        Some(message) if at(&node, &["qrcode"]).is_none() => message,
        _ => return subjects::own(event, node),
    };
    let data = compose::auth_failure(&message);
    let known = KnownEvent::AuthFailure;
    event.posted.known(known, subject(event), None, data)
}

fn subject(event: &Event) -> Subject {
    Subject::chat(None, event.posted.key.clone())
}

fn reason(node: &Node<'_>) -> String {
    match number(node, &["statusReason"]) {
        Some(LOGGED_OUT) => "LOGOUT".to_owned(),
        Some(REPLACED) => "CONFLICT".to_owned(),
        Some(code) => code.to_string(),
        None => String::new(),
    }
}
