//! Evolution API, versions 1 and 2, with Baileys and Cloud API instances.
//!
//! `{event, instance, data, date_time, sender, …}`. With "webhook by events" the event's name
//! is also the last segment of the path: `/messages-upsert`.

mod event;
mod messages;
mod session;
mod subjects;

use wahook_domain::json::Node;

use self::event::Event;
use crate::{Adapted, Part, Refusal, Request, member::into_member};

pub(crate) fn adapt<'a>(request: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let event = Event::of(request, &payload)?;
    let name = event.posted.name.as_str().replace(['.', '-'], "_");
    let data = into_member(payload, &["data"]).unwrap_or(Node::Null);
    let parts = match data {
        Node::Array(items) if !items.is_empty() && is_split(&name) => {
            let items = items.into_iter();
            items.map(|item| part(&event, &name, item)).collect()
        }
        data => vec![part(&event, &name, data)],
    };
    Ok(event.posted.adapted(parts))
}

/// Returns whether each item of an array is an event of its own.
fn is_split(name: &str) -> bool {
    matches!(
        name,
        "messages_upsert"
            | "messages_set"
            | "messages_update"
            | "messages_delete"
            | "messages_edited"
            | "send_message"
            | "send_message_update"
            | "contacts_update"
            | "groups_update"
            | "group_update"
            | "call"
    )
}

fn part<'a>(event: &Event, name: &str, data: Node<'a>) -> Part<'a> {
    match name {
        "messages_upsert" | "messages_set" | "send_message" => messages::message(event, data),
        "messages_update" => messages::status(event, data),
        "messages_delete" => messages::deletion(event, data),
        "messages_edited" | "send_message_update" => messages::edit(event, data),
        "contacts_update" => subjects::contact(event, data),
        "groups_update" | "group_update" => subjects::group(event, data),
        "group_participants_update" => subjects::participants(event, data),
        "call" => subjects::call(event, data),
        "connection_update" => session::connection(event, data),
        "qrcode_updated" => session::qr_code(event, data),
        _ => subjects::own(event, data),
    }
}
