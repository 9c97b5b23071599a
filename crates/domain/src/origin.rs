//! Origin of an event that a gateway posted in its own form.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{checked_text::checked_text, stored_json::stored_json};

/// Name of a source: a gateway that posts events in its own form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName(Arc<str>);

checked_text!(SourceName, InvalidSourceName, "[a-z][a-z0-9_-]{0,63}");

impl SourceName {
    fn check(text: &[u8]) -> bool {
        let allowed = |b: &u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
        text.len() <= 64
            && text.first().is_some_and(u8::is_ascii_lowercase)
            && text.iter().all(allowed)
    }
}

/// Source of an event and what the event is about, for filters and the log. It travels with
/// the event and is never a metric label, since clients choose its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub source: SourceName,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Id of the message that the event is about.
    #[serde(rename = "messageId", skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Form of the body if it is the gateway's; `None` if it is an event in canonical form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<ReceivedForm>,
}

/// Headers of a body that is delivered as the gateway sent it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceivedForm {
    #[serde(rename = "contentType", skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Headers by which the endpoint can verify the gateway's own signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

stored_json!(Origin);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_of_an_origin_never_changes() {
        let origin = Origin {
            source: SourceName::parse("shop").unwrap(),
            session: Some("s1".to_owned()),
            chat: Some("4915@c.us".to_owned()),
            message_id: Some("ABC".to_owned()),
            received: Some(ReceivedForm {
                content_type: Some("application/json".to_owned()),
                headers: vec![("x-hub-signature-256".to_owned(), "sha256=00".to_owned())],
            }),
        };
        let json = origin.to_json();
        assert_eq!(
            json,
            r#"{"source":"shop","session":"s1","chat":"4915@c.us","messageId":"ABC","received":{"contentType":"application/json","headers":[["x-hub-signature-256","sha256=00"]]}}"#
        );
        assert_eq!(Origin::from_json(&json), Some(origin));
        let least = r#"{"source":"shop"}"#;
        assert_eq!(Origin::from_json(least).unwrap().to_json(), least);
        assert_eq!(Origin::from_json("{}"), None);
    }

    #[test]
    fn source_name_is_usable_in_a_path_and_a_label() {
        for good in ["waha", "open-wa", "shop_2", &"x".repeat(64)] {
            assert_eq!(SourceName::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "Shop", "2x", "a/b", "a.b", &"x".repeat(65)] {
            assert_eq!(SourceName::parse(bad), Err(InvalidSourceName), "{bad:?}");
        }
    }
}
