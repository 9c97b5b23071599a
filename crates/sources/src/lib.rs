//! Requests of gateways as events: what a gateway posts to its webhook goes in, the events
//! with their identity come out. No I/O.
//!
//! [`Received::read`] decodes the transport (JSON, form, multipart) to one JSON text.
//! [`adapt`] reads that text as the gateway's kind defines it: one file per kind.

mod adapted;
mod compose;
mod content;
mod jid;
mod kind;
mod logged;
mod member;
mod moment;
mod name;
mod posted;
mod received;
mod redact;
mod sent;
mod signature;
mod webjs;

mod evolution;
mod generic;
mod gowa;
mod meta;
mod open_wa;
mod waha;
mod wahook;
mod web;
mod wppconnect;
mod wuzapi;
mod wwebjs;

pub use adapted::{Adapted, Identity, Key, Part, source_member};
pub use kind::{InvalidKind, Kind};
pub use logged::{LoggedBody, LoggedEvent, LoggedSubject};
pub use received::{Received, Refusal, Request};
pub use redact::{InvalidPointer, Pointer, redact, redact_body, redact_form};
pub use signature::{Verification, can_sign, verify};

use wahook_domain::json::Node;

/// Returns the events of a request whose JSON text is `payload`.
///
/// # Errors
/// When the gateway cannot have sent this. Unknown events and members are no error.
pub fn adapt<'a>(
    kind: Kind,
    request: &Request<'_>,
    payload: Node<'a>,
) -> Result<Adapted<'a>, Refusal> {
    match kind {
        Kind::Wahook => wahook::adapt(request, payload),
        Kind::Waha => waha::adapt(request, payload),
        Kind::Evolution => evolution::adapt(request, payload),
        Kind::Wwebjs => wwebjs::adapt(request, payload),
        Kind::Wppconnect => wppconnect::adapt(request, payload),
        Kind::OpenWa => open_wa::adapt(request, payload),
        Kind::Gowa => gowa::adapt(request, payload),
        Kind::Wuzapi => wuzapi::adapt(request, payload),
        Kind::Meta => meta::adapt(request, payload),
        Kind::Generic => generic::adapt(request, payload),
    }
}
