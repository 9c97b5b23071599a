//! Content of a message in the form of WhatsApp's own protocol, as Baileys and whatsmeow
//! print it: `{imageMessage: {caption, …}}`.

use wahook_domain::json::Node;

use crate::member::{at, get, is_true, text};

/// Messages that wrap the actual one.
const WRAPPERS: [&str; 7] = [
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "lottieStickerMessage",
    "botInvokeMessage",
];

/// Most wrappers of a message; whatsmeow unwraps at most six.
const MAX_WRAPPERS: usize = 7;

/// Documented type of each kind of content.
const KINDS: [(&str, &str); 26] = [
    ("conversation", "chat"),
    ("extendedTextMessage", "chat"),
    ("imageMessage", "image"),
    ("videoMessage", "video"),
    ("ptvMessage", "video"),
    ("audioMessage", "audio"),
    ("documentMessage", "document"),
    ("stickerMessage", "sticker"),
    ("contactMessage", "vcard"),
    ("contactsArrayMessage", "multi_vcard"),
    ("locationMessage", "location"),
    ("liveLocationMessage", "location"),
    ("pollCreationMessage", "poll_creation"),
    ("pollCreationMessageV2", "poll_creation"),
    ("pollCreationMessageV3", "poll_creation"),
    ("buttonsResponseMessage", "buttons_response"),
    ("templateButtonReplyMessage", "template_button_reply"),
    ("listResponseMessage", "list_response"),
    ("listMessage", "list"),
    ("buttonsMessage", "buttons"),
    ("interactiveMessage", "interactive"),
    ("interactiveResponseMessage", "interactive_response"),
    ("groupInviteMessage", "groups_v4_invite"),
    ("orderMessage", "order"),
    ("productMessage", "product"),
    ("eventMessage", "event_creation"),
];

/// Content with a file.
const FILES: [&str; 6] = [
    "imageMessage",
    "videoMessage",
    "ptvMessage",
    "audioMessage",
    "documentMessage",
    "stickerMessage",
];

/// Paths to the text of a content.
const BODIES: [&[&str]; 15] = [
    &["text"],
    &["caption"],
    &["selectedDisplayText"],
    &["vcard"],
    &["contentText"],
    &["body", "text"],
    &["title"],
    &["name"],
    &["displayName"],
    &["description"],
    &["hydratedTemplate", "hydratedContentText"],
    &["groupName"],
    &["orderTitle"],
    &["message"],
    &["address"],
];

/// Content of a message that has a documented type.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Content<'n, 'a> {
    name: &'static str,
    kind: &'static str,
    node: &'n Node<'a>,
}

impl<'n, 'a> Content<'n, 'a> {
    /// Returns the content within its wrappers; `None` for messages of the protocol, such as
    /// reactions, edits and votes, and for content without a documented type.
    pub(crate) fn of(message: &'n Node<'a>) -> Option<Self> {
        let message = unwrapped(message);
        let mut kinds = KINDS.into_iter();
        kinds.find_map(|(name, kind)| {
            let node = get(message, name).filter(|node| !matches!(node, Node::Null))?;
            Some(Self { name, kind, node })
        })
    }

    /// Returns the documented type.
    pub(crate) fn kind(self) -> &'static str {
        let is_voice = is_true(self.node, &["ptt"]) || is_true(self.node, &["PTT"]);
        match self.kind {
            "audio" if is_voice => "ptt",
            kind => kind,
        }
    }

    pub(crate) fn body(self) -> String {
        let whole = text(self.node, &[]);
        let body = whole.or_else(|| BODIES.into_iter().find_map(|path| text(self.node, path)));
        body.map_or_else(String::new, String::from)
    }

    pub(crate) fn has_media(self) -> bool {
        FILES.contains(&self.name)
    }

    pub(crate) fn is_forwarded(self) -> bool {
        is_true(self.node, &["contextInfo", "isForwarded"])
    }

    /// Returns a member of the content.
    pub(crate) fn member(self, name: &str) -> Option<&'n Node<'a>> {
        get(self.node, name)
    }
}

fn unwrapped<'n, 'a>(message: &'n Node<'a>) -> &'n Node<'a> {
    let mut message = message;
    for _ in 0..MAX_WRAPPERS {
        let mut wrappers = WRAPPERS.into_iter();
        match wrappers.find_map(|name| at(message, &[name, "message"])) {
            Some(inner) => message = inner,
            None => break,
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use wahook_domain::json::parse;

    use super::*;

    #[test]
    fn content_has_a_type_and_a_text() {
        for (message, expected) in [
            (r#"{"conversation":"Hi"}"#, Some(("chat", "Hi", false))),
            (
                r#"{"messageContextInfo":{},"extendedTextMessage":{"text":"Hi"}}"#,
                Some(("chat", "Hi", false)),
            ),
            (
                r#"{"ephemeralMessage":{"message":{"viewOnceMessageV2":{"message":
                    {"imageMessage":{"caption":"Look"}}}}}}"#,
                Some(("image", "Look", true)),
            ),
            (r#"{"audioMessage":{"PTT":true}}"#, Some(("ptt", "", true))),
            (
                r#"{"audioMessage":{"ptt":false}}"#,
                Some(("audio", "", true)),
            ),
            (
                r#"{"pollCreationMessageV3":{"name":"When?"}}"#,
                Some(("poll_creation", "When?", false)),
            ),
            (r#"{"imageMessage":null,"reactionMessage":{}}"#, None),
            ("{}", None),
            ("null", None),
        ] {
            let message = parse(message.as_bytes()).unwrap();
            let found = Content::of(&message);
            let body = found.map(Content::body);
            let found = found.zip(body.as_deref());
            let found = found.map(|(found, body)| (found.kind(), body, found.has_media()));
            assert_eq!(found, expected, "{message:?}");
        }
    }

    #[test]
    fn wrappers_without_end_are_not_followed() {
        let depth = 20;
        let open = r#"{"viewOnceMessage":{"message":"#.repeat(depth);
        let message = format!("{open}{{\"conversation\":\"Hi\"}}{}", "}}".repeat(depth));
        assert!(Content::of(&parse(message.as_bytes()).unwrap()).is_none());
    }
}
