//! Meta's Cloud API: `{object, entry: [{id, changes: [{field, value}]}]}`, with several messages
//! and statuses in one body.

mod call;
mod message;
mod status;

use wahook_domain::{
    EventName, KnownEvent, UnixMillis,
    json::{Node, Object},
};

use crate::{
    Adapted, Identity, Key, Part, Refusal, Request, jid,
    member::{as_object, object, owned, text},
    moment::moment,
    name::normalise,
    posted::{Posted, Subject},
    webjs::with,
};

pub(crate) fn adapt<'a>(_: &Request<'_>, payload: Node<'a>) -> Result<Adapted<'a>, Refusal> {
    let object = text(&payload, &["object"]).and_then(|name| normalise(&name));
    let (Some(object), Node::Object(mut members)) = (object, payload) else {
        return Err(missing("object"));
    };
    let Some(Node::Array(entries)) = members.remove("entry") else {
        return Err(missing("entry"));
    };
    let mut parts = Vec::new();
    let mut fields = Vec::new();
    for entry in entries {
        let Node::Object(mut entry) = entry else {
            continue;
        };
        let sent = entry.get("time").and_then(|time| moment(time, &[]));
        let changes = entry.remove("changes");
        if let Some(Node::Array(changes)) = changes {
            for change in changes {
                let change = Change::of(change, &object, sent);
                fields.push(change.posted.name.clone());
                change.into_parts(&mut parts);
            }
        } else {
            // Entries of other products, such as Messenger.
            let posted = posted(object.clone(), None, sent);
            fields.push(object.clone());
            parts.push(posted.own(Subject::chat(None, posted.key.clone()), Node::Object(entry)));
        }
    }
    if parts.is_empty() {
        return Err(missing("entry"));
    }
    Ok(Adapted {
        whole: whole(object, &fields, &parts),
        parts,
    })
}

fn missing(member: &str) -> Refusal {
    Refusal::NotAnEvent(format!(
        "the member {member} is missing or empty, which Meta always sends"
    ))
}

fn posted(name: EventName, session: Option<String>, sent: Option<UnixMillis>) -> Posted {
    // These contain times themselves.
    let has_time = matches!(name.as_str(), "history" | "smb_app_state_sync");
    let is_unique = has_time || sent.is_some();
    Posted {
        name,
        session,
        sent,
        key: if is_unique { Key::Content } else { Key::None },
    }
}

/// Returns the identity of the whole request: what all its events have in common.
fn whole(object: EventName, fields: &[EventName], parts: &[Part<'_>]) -> Identity {
    let name = common(fields.iter().map(Some));
    let name = name.unwrap_or(object);
    if let [part] = parts {
        return Identity {
            name,
            ..part.identity.clone()
        };
    }
    let has_key = parts.iter().all(|part| part.identity.key != Key::None);
    Identity {
        name,
        session: common(parts.iter().map(|part| part.identity.session.as_ref())),
        chat: common(parts.iter().map(|part| part.identity.chat.as_ref())),
        message_id: None,
        key: if has_key { Key::Content } else { Key::None },
    }
}

fn common<'v, T: PartialEq + Clone + 'v>(
    mut values: impl Iterator<Item = Option<&'v T>>,
) -> Option<T> {
    let first = values.next()??;
    values
        .all(|value| value == Some(first))
        .then(|| first.clone())
}

/// Change of a field of one entry.
struct Change<'a> {
    /// Named by the field.
    posted: Posted,
    /// Business number, without a plus sign.
    number: String,
    /// Ids and names of contacts.
    names: Vec<(String, String)>,
    value: Node<'a>,
}

impl<'a> Change<'a> {
    fn of(change: Node<'a>, object: &EventName, sent: Option<UnixMillis>) -> Self {
        let field = text(&change, &["field"]).and_then(|field| normalise(&field));
        let field = field.unwrap_or_else(|| object.clone());
        let value = match change {
            Node::Object(mut members) => members.remove("value"),
            _ => None,
        };
        let value = as_object(value.unwrap_or_else(|| Node::Object(Object::default())));
        let metadata = |name: &str| text(&value, &["metadata", name]).map(String::from);
        let number = metadata("display_phone_number").unwrap_or_default();
        Self {
            posted: posted(field, metadata("phone_number_id"), sent),
            number: number.chars().filter(char::is_ascii_digit).collect(),
            names: names(&value),
            value,
        }
    }

    /// Adds an event for each message, status and call, or else one for the whole change.
    fn into_parts(mut self, parts: &mut Vec<Part<'a>>) {
        let before = parts.len();
        let mut take = |name: &str| match &mut self.value {
            Node::Object(members) => match members.get(name) {
                Some(Node::Array(_)) => members.remove(name),
                _ => None,
            },
            _ => None,
        };
        let mut items = |name: &str| match take(name) {
            Some(Node::Array(items)) => items,
            _ => Vec::new(),
        };
        let messages = items("messages");
        let echoes = items("message_echoes");
        let statuses = items("statuses");
        let calls = items("calls");
        parts.extend(
            messages
                .into_iter()
                .map(|item| message::part(&self, false, item)),
        );
        parts.extend(
            echoes
                .into_iter()
                .map(|item| message::part(&self, true, item)),
        );
        parts.extend(statuses.into_iter().map(|item| status::part(&self, item)));
        parts.extend(calls.into_iter().map(|item| call::part(&self, item)));
        if parts.len() == before {
            let subject = Subject::chat(None, self.posted.key.clone());
            parts.push(self.posted.own(subject, self.value));
        }
    }

    fn name_of(&self, contact: &str) -> Option<&str> {
        let mut names = self.names.iter();
        names
            .find(|(id, _)| id == contact)
            .map(|(_, name)| name.as_str())
    }
}

fn names(value: &Node<'_>) -> Vec<(String, String)> {
    let contacts = match value {
        Node::Object(members) => members.get("contacts"),
        _ => None,
    };
    let Some(Node::Array(contacts)) = contacts else {
        return Vec::new();
    };
    let named = contacts.iter().filter_map(|contact| {
        let id = text(contact, &["wa_id"])?;
        let name = text(contact, &["profile", "name"])?;
        Some((id.into(), name.into()))
    });
    named.collect()
}

/// Returns an id in the documented form. `_serialized` is Meta's id in all events: a status
/// or a reaction does not say who sent the message.
fn id(from_me: bool, chat: &str, id: &str) -> Node<'static> {
    object([
        ("fromMe", Node::Bool(from_me)),
        ("remote", owned(jid::documented(chat))),
        ("id", owned(id)),
        ("_serialized", owned(id)),
    ])
}

/// Returns an event with the item itself as `_data`, which contains all that has no documented
/// member.
fn known<'a>(
    change: &Change<'_>,
    event: KnownEvent,
    subject: Subject,
    item: Node<'a>,
    documented: Node<'a>,
) -> Part<'a> {
    let time = moment(&item, &["timestamp"]);
    let documented = with(documented, [("_data", item)]);
    change.posted.known(event, subject, time, documented)
}

/// Returns an event without a documented counterpart: it is named by the field, and the item is
/// its payload.
fn own<'a>(change: &Change<'_>, subject: Subject, item: Node<'a>) -> Part<'a> {
    let time = moment(&item, &["timestamp"]);
    let part = change.posted.own(subject, item);
    Part {
        timestamp: time.or(part.timestamp),
        ..part
    }
}
