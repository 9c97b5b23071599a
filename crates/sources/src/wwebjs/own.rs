//! Events without a documented counterpart.

use wahook_domain::json::Node;

use super::group;
use crate::{
    Key, Part,
    member::{at, get, number, text},
    posted::{Posted, Subject},
    webjs::{MessageId, wid},
};

pub(super) fn part<'a>(posted: &Posted, data: Node<'a>) -> Part<'a> {
    posted.own(subject(posted.name.as_str(), &data), data)
}

fn subject(name: &str, data: &Node<'_>) -> Subject {
    match name {
        // A code is drawn for each event.
        "qr" | "code" => Subject::chat(None, Key::Content),
        "vote_update" => vote(data),
        "media" | "media_uploaded" | "message_ciphertext" | "message_revoke_me" => {
            of_message(data, |id| Key::Text(id.to_owned()))
        }
        "message_edit" => of_message(data, |id| match edit_time(data) {
            Some(time) => Key::Text(format!("{id} {time}")),
            None => Key::None,
        }),
        "group_admin_changed" | "group_membership_request" => {
            group::notification(data).map_or_else(nothing, |(_, subject)| subject)
        }
        // Others can be equal and mean another change.
        _ => of_message(data, |_| Key::None),
    }
}

fn of_message(data: &Node<'_>, key: impl Fn(&str) -> Key) -> Subject {
    let message = super::message(data);
    let Some(id) = message.and_then(|message| MessageId::of(get(message, "id")?)) else {
        return of_chat(data);
    };
    let key = key(&id.serialized);
    Subject {
        chat: Some(id.chat),
        message_id: Some(id.serialized),
        key,
    }
}

fn of_chat(data: &Node<'_>) -> Subject {
    let chat = at(data, &["chat", "id"]).and_then(wid);
    Subject::chat(chat, Key::None)
}

fn vote(data: &Node<'_>) -> Subject {
    let key = ["parentMsgKey", "parentMessage"]
        .into_iter()
        .find_map(|name| {
            let key = at(data, &["vote", name])?;
            MessageId::of(
                get(key, "id")
                    .filter(|id| matches!(id, Node::Object(_)))
                    .unwrap_or(key),
            )
        });
    let Some(id) = key else {
        return nothing();
    };
    let voter = text(data, &["vote", "voter"]).unwrap_or_default();
    let key = number(data, &["vote", "interractedAtTs"]).map_or(Key::None, |time| {
        Key::Text(format!("{} {voter} {time}", id.serialized))
    });
    Subject {
        chat: Some(id.chat),
        message_id: Some(id.serialized),
        key,
    }
}

fn edit_time(data: &Node<'_>) -> Option<f64> {
    const TIME: &str = "latestEditSenderTimestampMs";
    let message = super::message(data)?;
    number(message, &[TIME]).or_else(|| number(message, &["_data", TIME]))
}

fn nothing() -> Subject {
    Subject::chat(None, Key::None)
}
