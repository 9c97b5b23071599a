//! Messages: those that users send, and those that the business sends in its own app.

use wahook_domain::{KnownEvent, json::Node};

use super::{Change, id, known, own};
use crate::{
    Key, Part, compose,
    member::{at, get, is_true, text},
    moment::moment,
    posted::Subject,
};

pub(super) fn part<'a>(change: &Change<'_>, is_echo: bool, item: Node<'a>) -> Part<'a> {
    let Some(message) = Message::of(change, is_echo, &item) else {
        return own(change, Subject::chat(None, Key::None), item);
    };
    let kind = text(&item, &["type"]).unwrap_or_default();
    let documented = match &*kind {
        "reaction" => message.reaction(&item),
        "revoke" => message.revocation(&item),
        "system" => message.number_change(&item),
        "edit" => None,
        _ => Some((KnownEvent::MessageCreate, message.created(&kind, &item))),
    };
    let subject = |about: &str| {
        Subject::message(
            Some(message.chat.clone()),
            about.to_owned(),
            message.id.clone(),
        )
    };
    match documented {
        Some((event, data)) => {
            let about = message.about(&item);
            known(change, event, subject(&about), item, data)
        }
        None => {
            let about = message.about(&item);
            own(change, subject(&about), item)
        }
    }
}

struct Message {
    id: String,
    chat: String,
    from: String,
    to: String,
    from_me: bool,
    /// User who writes to a group.
    author: Option<String>,
    notify_name: Option<String>,
}

impl Message {
    fn of(change: &Change<'_>, is_echo: bool, item: &Node<'_>) -> Option<Self> {
        // Users without a visible number have an id instead.
        let user = |names: [&str; 2]| names.into_iter().find_map(|name| text(item, &[name]));
        let from: String = user(["from", "from_user_id"])?.into();
        let to = user(["to", "to_user_id"]).map(String::from);
        let to = to.unwrap_or_else(|| change.number.clone());
        let group = text(item, &["group_id"]).map(|group| format!("{group}@g.us"));
        let is_group = group.is_some();
        let chat = group.unwrap_or_else(|| if is_echo { to.clone() } else { from.clone() });
        let notify_name = change.name_of(&from).map(Into::into);
        let author = (is_group && !is_echo).then(|| from.clone());
        // As in whatsapp-web.js, a group stands for the other side.
        let (from, to) = match (is_group, is_echo) {
            (true, true) => (from, chat.clone()),
            (true, false) => (chat.clone(), to),
            (false, _) => (from, to),
        };
        Some(Self {
            id: text(item, &["id"])?.into(),
            chat,
            from,
            to,
            from_me: is_echo,
            author,
            notify_name,
        })
    }

    /// Returns the id of the message that the event is about.
    fn about(&self, item: &Node<'_>) -> String {
        let other = [
            ["reaction", "message_id"],
            ["revoke", "original_message_id"],
            ["edit", "original_message_id"],
        ];
        let other = other.into_iter().find_map(|path| text(item, &path));
        other.map_or_else(|| self.id.clone(), Into::into)
    }

    fn created<'a>(&self, kind: &str, item: &Node<'a>) -> Node<'a> {
        let message = compose::Message {
            id: id(self.from_me, &self.chat, &self.id),
            body: body(kind, item),
            kind: documented_kind(kind, item).to_owned(),
            timestamp: moment(item, &["timestamp"]),
            from: self.from.clone(),
            to: self.to.clone(),
            from_me: self.from_me,
            is_forwarded: is_true(item, &["context", "forwarded"])
                || is_true(item, &["context", "frequently_forwarded"]),
            author: self.author.clone(),
            notify_name: self.notify_name.clone(),
            media: media(kind, item),
        };
        message.into_data()
    }

    fn sender(&self) -> &str {
        self.author.as_deref().unwrap_or(&self.from)
    }

    fn reaction(&self, item: &Node<'_>) -> Option<(KnownEvent, Node<'static>)> {
        let reacted = text(item, &["reaction", "message_id"])?;
        let emoji = text(item, &["reaction", "emoji"]).unwrap_or_default();
        let data = compose::reaction(
            id(self.from_me, &self.chat, &self.id),
            // Users react to messages of the business.
            id(!self.from_me, &self.chat, &reacted),
            &emoji,
            self.sender(),
            moment(item, &["timestamp"]),
        );
        Some((KnownEvent::MessageReaction, data))
    }

    fn revocation(&self, item: &Node<'_>) -> Option<(KnownEvent, Node<'static>)> {
        let revoked = text(item, &["revoke", "original_message_id"])?;
        let data = compose::revoked(id(self.from_me, &self.chat, &revoked), self.sender());
        Some((KnownEvent::MessageRevokeEveryone, data))
    }

    fn number_change(&self, item: &Node<'_>) -> Option<(KnownEvent, Node<'static>)> {
        let names = ["wa_id", "new_wa_id"];
        let new = names
            .into_iter()
            .find_map(|name| text(item, &["system", name]))?;
        let name = self.notify_name.as_deref().unwrap_or_default();
        Some((KnownEvent::ContactChanged, compose::contact(&new, name)))
    }
}

/// Returns the text that a message shows.
fn body(kind: &str, item: &Node<'_>) -> String {
    let paths: &[&[&str]] = &[
        &["body"],
        &["caption"],
        &["text"],
        &["button_reply", "title"],
        &["list_reply", "title"],
        &["nfm_reply", "body"],
    ];
    let Some(content) = get(item, kind) else {
        return String::new();
    };
    let mut texts = paths.iter().filter_map(|path| text(content, path));
    texts.next().unwrap_or_default().into()
}

fn documented_kind<'k>(kind: &'k str, item: &Node<'_>) -> &'k str {
    match kind {
        "text" => "chat",
        "audio" if is_true(item, &["audio", "voice"]) => "ptt",
        "contacts" => match at(item, &["contacts"]) {
            Some(Node::Array(contacts)) if contacts.len() > 1 => "multi_vcard",
            _ => "vcard",
        },
        "button" => "template_button_reply",
        "interactive" => match get(item, "interactive").and_then(|reply| text(reply, &["type"])) {
            Some(reply) if reply == "list_reply" => "list_response",
            Some(reply) if reply == "button_reply" => "buttons_response",
            _ => "interactive",
        },
        "" | "unsupported" => "unknown",
        other => other,
    }
}

fn media<'a>(kind: &str, item: &Node<'a>) -> Option<compose::Media<'a>> {
    if !matches!(kind, "image" | "video" | "audio" | "document" | "sticker") {
        return None;
    }
    let media = get(item, kind)?;
    let member = |name: &str| get(media, name).cloned();
    Some(compose::Media {
        mimetype: member("mime_type"),
        filename: member("filename"),
        data: None,
        url: member("url"),
    })
}
