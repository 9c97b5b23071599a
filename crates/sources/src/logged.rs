//! Event as the delivery log stores it.

use wahook_domain::{AttemptResult, json::Node};

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
        };
    };
    LoggedEvent {
        payload: members.remove("data").unwrap_or(Node::Null),
        timestamp: members.remove("timestamp").unwrap_or(Node::Null),
    }
}
