//! Values that the delivery log does not keep.

use std::{fmt, str::FromStr};

use crate::{
    event::EventName,
    filter::EventPattern,
    json::{self, Node, Object, Text},
};

/// Text in the log in place of a value that was redacted.
pub const REDACTED: &str = "[redacted by wahook]";

/// Longest list of rules, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Payload of an erased record, as JSON.
#[must_use]
pub fn erased_payload() -> String {
    format!(r#"{{"erased":"{REDACTED}"}}"#)
}

/// Returns true if a payload of the log, as JSON, has a redacted value. A longer text that has
/// the words of the mark is none.
#[must_use]
pub fn is_redacted(payload: &str) -> bool {
    payload.contains(REDACTED)
        && json::parse(payload.as_bytes()).is_ok_and(|payload| has_mark(&payload))
}

fn has_mark(node: &Node<'_>) -> bool {
    match node {
        Node::Text(text) => text.to_str().0 == REDACTED,
        Node::Array(items) => items.iter().any(has_mark),
        Node::Object(members) => members.iter().any(|(_, value)| has_mark(value)),
        Node::Null | Node::Bool(_) | Node::Number(_) => false,
    }
}

/// Rules for the values that the log does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    text: String,
    rules: Vec<Rule>,
}

/// Values of the events that match a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    events: EventPattern,
    pointers: Vec<Pointer>,
}

/// JSON pointer (RFC 6901) into the body of an event, below `/data`. The token `*` stands for
/// each item of a list and for each member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pointer(Vec<String>);

/// Text that is no list of rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRedaction {
    #[error("must be at most {MAX_BYTES} bytes")]
    TooLong,
    #[error("rule {0:?} must be EVENT=POINTER,POINTER")]
    Rule(String),
    #[error("rule {0:?} must begin with an event name or pattern, such as message or *")]
    Event(String),
    #[error("pointer {0:?} must begin with /data, such as /data/body")]
    Pointer(String),
}

impl Redaction {
    /// Returns true if a rule is for this event.
    #[must_use]
    pub fn concerns(&self, event: &EventName) -> bool {
        self.rules.iter().any(|rule| rule.events.takes(event))
    }

    /// Returns the payload without the values of the rules for this event; `None` if it has
    /// none of them. `payload` is the member `data` of the body.
    #[must_use]
    pub fn redacted<'a>(&self, event: &EventName, payload: &Node<'a>) -> Option<Node<'a>> {
        let rules = self.rules.iter().filter(|rule| rule.events.takes(event));
        let mut redacted = None;
        for Pointer(tokens) in rules.flat_map(|rule| &rule.pointers) {
            let from = redacted.as_ref().unwrap_or(payload);
            if let Some(next) = replaced(from, tokens) {
                redacted = Some(next);
            }
        }
        redacted
    }
}

/// Returns the value with the mark at the place of the pointer; `None` if it has no such place.
fn replaced<'a>(node: &Node<'a>, tokens: &[String]) -> Option<Node<'a>> {
    let Some((token, rest)) = tokens.split_first() else {
        return Some(Node::Text(Text::new(REDACTED)));
    };
    let is_wanted = |key: &str| token == "*" || token == key;
    let mut is_found = false;
    let mut changed = |key: &str, value: &Node<'a>| {
        let next = is_wanted(key).then(|| replaced(value, rest)).flatten();
        is_found |= next.is_some();
        next.unwrap_or_else(|| value.clone())
    };
    let node = match node {
        Node::Object(members) => {
            let members = members.iter();
            let members =
                members.map(|(key, value)| (key.clone(), changed(&key.to_str().0, value)));
            Node::Object(members.collect::<Object<'a>>())
        }
        Node::Array(items) => {
            let items = items.iter().enumerate();
            Node::Array(
                items
                    .map(|(n, item)| changed(&n.to_string(), item))
                    .collect(),
            )
        }
        _ => return None,
    };
    is_found.then_some(node)
}

impl FromStr for Redaction {
    type Err = InvalidRedaction;

    /// Parses rules, separated by `;`: `message=/data/body,/data/author;*=/data/from`.
    fn from_str(text: &str) -> Result<Self, InvalidRedaction> {
        if text.len() > MAX_BYTES {
            return Err(InvalidRedaction::TooLong);
        }
        let rules = text.split(';').map(str::trim);
        let rules = rules.filter(|rule| !rule.is_empty()).map(Rule::parse);
        Ok(Self {
            rules: rules.collect::<Result<_, _>>()?,
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, InvalidRedaction> {
        let invalid = || InvalidRedaction::Rule(text.to_owned());
        let (events, pointers) = text.split_once('=').ok_or_else(invalid)?;
        let events = events.trim().parse();
        let pointers = pointers.split(',').map(|text| Pointer::parse(text.trim()));
        Ok(Self {
            events: events.map_err(|_| InvalidRedaction::Event(text.to_owned()))?,
            pointers: pointers.collect::<Result<_, _>>()?,
        })
    }
}

impl Pointer {
    fn parse(text: &str) -> Result<Self, InvalidRedaction> {
        let invalid = || InvalidRedaction::Pointer(text.to_owned());
        let below = text.strip_prefix("/data").ok_or_else(invalid)?;
        if below.is_empty() {
            return Ok(Self(vec!["*".to_owned()]));
        }
        let below = below.strip_prefix('/').ok_or_else(invalid)?;
        let unescaped = |token: &str| token.replace("~1", "/").replace("~0", "~");
        Ok(Self(below.split('/').map(unescaped).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn redacted(rules: &str, event: &str, payload: &str) -> Option<String> {
        let rules: Redaction = rules.parse().unwrap();
        let payload = json::parse(payload.as_bytes()).unwrap();
        let redacted = rules.redacted(&EventName::parse(event).unwrap(), &payload)?;
        let mut printed = Vec::new();
        json::print(&redacted, &mut printed);
        Some(String::from_utf8(printed).unwrap())
    }

    #[test]
    fn values_of_the_event_are_replaced_and_others_kept() {
        let rules = "message=/data/body,/data/author; *=/data/from";
        let payload = r#"{"body":"hello","from":{"a":[1]},"to":"2@c.us"}"#;
        let mark = format!("\"{REDACTED}\"");
        let expected = format!(r#"{{"body":{mark},"from":{mark},"to":"2@c.us"}}"#);
        assert_eq!(redacted(rules, "message", payload), Some(expected));
        let expected = format!(r#"{{"body":"hello","from":{mark},"to":"2@c.us"}}"#);
        assert_eq!(redacted(rules, "call", payload), Some(expected.clone()));
        assert!(is_redacted(&expected) && !is_redacted(payload));
        assert!(is_redacted(&erased_payload()));
        assert_eq!(redacted("message=/data/body", "call", payload), None);
        let rules: Redaction = "message=/data/body".parse().unwrap();
        for (event, is_concerned) in [("message", true), ("call", false)] {
            let event = EventName::parse(event).unwrap();
            assert_eq!(rules.concerns(&event), is_concerned);
        }
        assert_eq!(redacted("*=/data/body/x,/data/none", "call", payload), None);
    }

    #[test]
    fn only_a_whole_value_is_a_mark() {
        assert!(is_redacted(r#"{"a":[1,{"b":"[redacted by wahook]"}]}"#));
        for other in [
            r#"{"body":"why [redacted by wahook]?"}"#,
            r#"{"body":"\"[redacted by wahook]\""}"#,
            r#"{"[redacted by wahook]":1}"#,
            "{}",
        ] {
            assert!(!is_redacted(other), "{other}");
        }
    }

    #[test]
    fn pointer_reaches_items_escaped_names_and_all_data() {
        let mark = format!("\"{REDACTED}\"");
        let payload = r#"{"list":[{"n":1},{"n":2,"m":3}],"a/b~":4}"#;
        let expected = format!(r#"{{"list":[{{"n":{mark}}},{{"n":{mark},"m":3}}],"a/b~":4}}"#);
        assert_eq!(
            redacted("*=/data/list/*/n", "call", payload),
            Some(expected)
        );
        let expected = format!(r#"{{"list":[{{"n":1}},{mark}],"a/b~":{mark}}}"#);
        let rules = "*=/data/list/1,/data/a~1b~0";
        assert_eq!(redacted(rules, "call", payload), Some(expected));
        let expected = format!(r#"{{"list":{mark},"a/b~":{mark}}}"#);
        assert_eq!(redacted("*=/data", "call", payload), Some(expected));
    }

    #[test]
    fn rules_of_another_form_are_refused() {
        for text in [
            "message",
            "=/data/a",
            "me ssage=/data/a",
            "*=data/a",
            "*=/body",
            "*=",
        ] {
            assert!(text.parse::<Redaction>().is_err(), "{text}");
        }
        let long = format!("*=/data/{}", "x".repeat(MAX_BYTES));
        assert_eq!(long.parse::<Redaction>(), Err(InvalidRedaction::TooLong));
    }
}
