//! Content of a message: its type and its file.

use wahook_domain::json::Node;

use crate::{
    compose::Media,
    content::Content,
    member::{get, into_member, is_true, text},
};

/// Returns the message as WhatsApp's protocol has it, if the engine posts it.
pub(super) fn content<'n, 'a>(payload: &'n Node<'a>) -> Option<Content<'n, 'a>> {
    let data = get(payload, "_data")?;
    let message = get(data, "message").or_else(|| get(data, "Message"))?;
    Content::of(message)
}

/// Returns the documented type: the engine's own, or what the content shows.
pub(super) fn kind(payload: &Node<'_>, content: Option<Content<'_, '_>>) -> String {
    if let Some(kind) = text(payload, &["_data", "type"]) {
        return kind.into();
    }
    let mimetype = text(payload, &["media", "mimetype"]).unwrap_or_default();
    let of_file = match mimetype.split('/').next().unwrap_or_default() {
        "image" => "image",
        "video" => "video",
        "audio" => "audio",
        _ if is_true(payload, &["hasMedia"]) => "document",
        _ if matches!(get(payload, "location"), Some(Node::Object(_))) => "location",
        _ if matches!(get(payload, "vCards"), Some(Node::Array(cards)) if !cards.is_empty()) => {
            "vcard"
        }
        _ => "chat",
    };
    content.map_or(of_file, Content::kind).to_owned()
}

pub(super) fn media(payload: Node<'_>) -> Option<Media<'_>> {
    let has_media = is_true(&payload, &["hasMedia"]);
    match into_member(payload, &["media"]) {
        Some(Node::Object(mut file)) => Some(Media {
            mimetype: file.remove("mimetype"),
            filename: file.remove("filename").filter(|name| *name != Node::Null),
            data: file.remove("data"),
            url: file.remove("url"),
        }),
        _ => has_media.then(Media::default),
    }
}
