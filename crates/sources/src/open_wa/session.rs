//! State of a session of open-wa.

use wahook_domain::{KnownEvent, json::Node};

use crate::{Part, compose, member::text, posted::Posted, web};

/// Returns the state: a text in version 4, `{details: {prev, next}}` in version 5. States on
/// the way to another keep their name.
pub(super) fn state<'a>(posted: &Posted, node: Node<'a>) -> Part<'a> {
    let state = text(&node, &[]).or_else(|| text(&node, &["details", "next"]));
    match state.as_deref() {
        Some("CONNECTED" | "READY") => ready(posted),
        Some(
            state @ ("CONFLICT" | "DEPRECATED_VERSION" | "DISCONNECTED" | "PROXYBLOCK"
            | "SMB_TOS_BLOCK" | "TOS_BLOCK" | "UNPAIRED" | "UNPAIRED_IDLE"),
        ) => disconnected(posted, state),
        _ => web::own(posted, node),
    }
}

/// Returns the loss of the connection in version 5: `{details: {reason}}`.
pub(super) fn connection(posted: &Posted, node: Node<'_>) -> Part<'static> {
    let reason = text(&node, &["details", "reason"]);
    disconnected(posted, &reason.unwrap_or("DISCONNECTED".into()))
}

/// Returns the readiness of a session; open-wa posts neither its name nor its number.
pub(super) fn ready(posted: &Posted) -> Part<'static> {
    known(posted, KnownEvent::Ready, compose::ready("", ""))
}

pub(super) fn disconnected(posted: &Posted, reason: &str) -> Part<'static> {
    let data = compose::disconnected(reason);
    known(posted, KnownEvent::Disconnected, data)
}

fn known(posted: &Posted, event: KnownEvent, data: Node<'static>) -> Part<'static> {
    let subject = web::subject_of_chat(posted, None);
    posted.known(event, subject, posted.sent, data)
}
