//! Event as the delivery log stores it.

use std::borrow::Cow;

use wahook_domain::{AttemptResult, Origin, jid::documented, json::Node, order::Named};

use crate::{Received, Request, member::as_object};

/// Body of an event, decoded for the log.
#[derive(Debug)]
pub struct LoggedBody<'a>(Form<'a>);

#[derive(Debug)]
enum Form<'a> {
    Canonical(&'a AttemptResult),
    Received(Received<'a>),
    Unreadable,
}

/// Parts of an event that the log stores.
#[derive(Debug, PartialEq)]
pub struct LoggedEvent<'a> {
    /// `data` of an event in canonical form, or all of what a gateway posted. Not an object
    /// only if it is unreadable.
    pub payload: Node<'a>,
    /// Gateway's own time: a text, a number, or null.
    pub timestamp: Node<'a>,
    /// True if an event in canonical form has members that are not among the parts.
    pub(crate) has_more: bool,
}

/// Values that an event is searched by, in addition to its name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LoggedSubject<'a> {
    pub source: Option<&'a str>,
    pub session: Option<&'a str>,
    pub chat: Option<Cow<'a, str>>,
    pub message_id: Option<Cow<'a, str>>,
}

impl LoggedEvent<'_> {
    /// Returns the subject that a gateway's adapter has found, or else chat and message of data
    /// in the documented form.
    #[must_use]
    pub fn subject<'s>(&'s self, origin: Option<&'s Origin>) -> LoggedSubject<'s> {
        if let Some(origin) = origin {
            return LoggedSubject {
                source: Some(origin.source.as_str()),
                session: origin.session.as_deref(),
                chat: origin.chat.as_deref().map(Cow::Borrowed),
                message_id: origin.message_id.as_deref().map(Cow::Borrowed),
            };
        }
        let Node::Object(data) = &self.payload else {
            return LoggedSubject::default();
        };
        let named = Named::by(data);
        // Members of undocumented events may have the same names and other values.
        let chat = named.chat.filter(|chat| chat.contains('@'));
        LoggedSubject {
            chat: chat.map(|chat| documented(&chat).into()),
            message_id: named.message,
            ..LoggedSubject::default()
        }
    }
}

impl<'a> LoggedBody<'a> {
    /// Decodes the body of an attempt's event.
    #[must_use]
    pub fn of(result: &'a AttemptResult) -> Self {
        let origin = result.origin.as_deref();
        let Some(received) = origin.and_then(|origin| origin.received.as_ref()) else {
            return Self(Form::Canonical(result));
        };
        let read = Received::read(&Request {
            content_type: received.content_type.as_deref(),
            body: result.body.as_bytes(),
            ..Request::default()
        });
        Self(read.map_or(Form::Unreadable, Form::Received))
    }

    /// Returns the parts.
    #[must_use]
    pub fn parse(&self) -> LoggedEvent<'_> {
        match &self.0 {
            Form::Canonical(result) => canonical(result.body.parse()),
            Form::Received(received) => {
                let payload = received.parse().map_or(Node::Null, as_object);
                let timestamp = match &payload {
                    Node::Object(members) => members.get("timestamp").cloned(),
                    _ => None,
                };
                let timestamp =
                    timestamp.filter(|time| matches!(time, Node::Text(_) | Node::Number(_)));
                LoggedEvent {
                    payload,
                    timestamp: timestamp.unwrap_or(Node::Null),
                    has_more: false,
                }
            }
            Form::Unreadable => canonical(Node::Null),
        }
    }
}

fn canonical(body: Node<'_>) -> LoggedEvent<'_> {
    let Node::Object(mut members) = body else {
        return LoggedEvent {
            payload: Node::Null,
            timestamp: Node::Null,
            has_more: false,
        };
    };
    LoggedEvent {
        payload: members.remove("data").unwrap_or(Node::Null),
        timestamp: members.remove("timestamp").unwrap_or(Node::Null),
        // The name is left.
        has_more: members.len() > 1,
    }
}

#[cfg(test)]
mod tests {
    use wahook_domain::{SourceName, json};

    use super::*;

    fn event(data: &str) -> LoggedEvent<'_> {
        LoggedEvent {
            payload: json::parse(data.as_bytes()).unwrap(),
            timestamp: Node::Null,
            has_more: false,
        }
    }

    #[test]
    fn subject_of_documented_data_is_its_chat_and_message() {
        for (data, chat, message) in [
            (
                r#"{"id":{"_serialized":"false_1:7@s.whatsapp.net_3EB0"}}"#,
                Some("1@c.us"),
                Some("false_1:7@s.whatsapp.net_3EB0"),
            ),
            (
                r#"{"id":{"_serialized":"false_1@c.us_A"},"msgId":{"_serialized":"true_1@c.us_B"}}"#,
                Some("1@c.us"),
                Some("true_1@c.us_B"),
            ),
            (r#"{"id":"8F2A","from":"1@c.us"}"#, Some("1@c.us"), None),
            (r#"{"chatId":"1-2@g.us"}"#, Some("1-2@g.us"), None),
            (
                r#"{"chatId":"1-2@g.us","id":{"_serialized":"true_1@c.us_A"}}"#,
                Some("1-2@g.us"),
                Some("true_1@c.us_A"),
            ),
            (r#"{"id":{"_serialized":"1@c.us"}}"#, Some("1@c.us"), None),
            (r#"{"from":"Berlin","id":{"_serialized":"x"}}"#, None, None),
            (r#"[]"#, None, None),
        ] {
            let event = event(data);
            let subject = event.subject(None);
            assert_eq!(subject.chat.as_deref(), chat, "{data}");
            assert_eq!(subject.message_id.as_deref(), message, "{data}");
        }
    }

    #[test]
    fn subject_of_a_gateway_event_is_that_of_its_origin() {
        let origin = Origin {
            source: SourceName::parse("shop").unwrap(),
            session: Some("s1".to_owned()),
            chat: None,
            message_id: Some("A".to_owned()),
            received: None,
        };
        let event = event(r#"{"chatId":"1-2@g.us"}"#);
        let expected = LoggedSubject {
            source: Some("shop"),
            session: Some("s1"),
            chat: None,
            message_id: Some("A".into()),
        };
        assert_eq!(event.subject(Some(&origin)), expected);
    }
}
