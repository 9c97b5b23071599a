//! Documented members of the known events' data, and the check against them.

use crate::{
    event::KnownEvent,
    fault::Fault,
    json::{Node, Object},
};

/// Returns a realistic event of each known kind, as a gateway sends it.
pub fn samples() -> impl Iterator<Item = &'static str> {
    include_str!("../tests/data/sample_events.jsonl").lines()
}

/// Cap on the reported faults; bounds the response to a request with a million
/// wrong items.
const MAX_FAULTS: usize = 100;

/// Expected type of a member.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Text,
    Texts,
    Number,
    Bool,
    /// Whole number within these bounds, both inclusive.
    Whole(i8, i8),
    /// Object with at least these members.
    Members(&'static [Member]),
}

/// Required member: name and type.
type Member = (&'static str, Shape);

const ID: Shape = Shape::Members(&[("_serialized", Shape::Text)]);

/// Returns the required members of an event's data. Others are always allowed.
const fn documented(event: KnownEvent) -> &'static [Member] {
    use Shape::{Bool, Members, Number, Text, Texts, Whole};
    match event {
        KnownEvent::MessageCreate => &[
            ("id", ID),
            ("body", Text),
            ("type", Text),
            ("timestamp", Number),
            ("from", Text),
            ("to", Text),
            ("fromMe", Bool),
            ("hasMedia", Bool),
            ("isForwarded", Bool),
        ],
        // Gateways send -1 for an error; the documented values end at 5.
        KnownEvent::MessageAck => &[("id", ID), ("ack", Whole(-1, 5))],
        KnownEvent::MessageRevokeEveryone => &[("id", ID), ("revokedBy", Text)],
        KnownEvent::MessageReaction => &[
            ("id", ID),
            ("msgId", ID),
            ("reaction", Text),
            ("senderId", Text),
            ("timestamp", Number),
        ],
        KnownEvent::GroupJoin | KnownEvent::GroupLeave => {
            &[("chatId", Text), ("participants", Texts), ("author", Text)]
        }
        KnownEvent::GroupUpdate => &[
            ("chatId", Text),
            ("subject", Text),
            ("description", Text),
            ("author", Text),
        ],
        KnownEvent::Authenticated => &[("session", Text)],
        KnownEvent::AuthFailure => &[("message", Text)],
        KnownEvent::Ready => &[("info", Members(&[("pushname", Text), ("wid", ID)]))],
        KnownEvent::Disconnected => &[("reason", Text)],
        KnownEvent::Call => &[
            ("id", Text),
            ("from", Text),
            ("timestamp", Number),
            ("isVideo", Bool),
            ("isGroup", Bool),
        ],
        KnownEvent::ContactChanged => &[("id", ID), ("name", Text), ("number", Text)],
    }
}

/// Adds a fault for each documented member that is missing or has another type.
pub(crate) fn check(event: KnownEvent, data: &Object<'_>, faults: &mut Vec<Fault>) {
    let place = Place {
        within: None,
        name: "data",
    };
    Check { faults }.members(documented(event), data, &place);
}

/// Place of a member. Its pointer is written for a fault only.
struct Place<'a> {
    within: Option<&'a Place<'a>>,
    name: &'a str,
}

impl Place<'_> {
    /// Returns the JSON pointer. No documented name has a character that a pointer or JSON must
    /// escape.
    fn pointer(&self) -> String {
        let within = self.within.map_or_else(String::new, Place::pointer);
        within + "/" + self.name
    }
}

struct Check<'a> {
    faults: &'a mut Vec<Fault>,
}

impl Check<'_> {
    fn members(&mut self, expected: &[Member], found: &Object<'_>, within: &Place<'_>) {
        for (name, shape) in expected {
            let place = Place {
                within: Some(within),
                name,
            };
            match found.by_form(name) {
                Some(node) => self.shape(*shape, node, &place),
                None => self.fault(&place, "is missing".to_owned()),
            }
        }
    }

    fn shape(&mut self, shape: Shape, node: &Node<'_>, place: &Place<'_>) {
        let expected = match (shape, node) {
            (Shape::Text, Node::Text(_))
            | (Shape::Number, Node::Number(_))
            | (Shape::Bool, Node::Bool(_)) => return,
            (Shape::Members(members), Node::Object(found)) => {
                return self.members(members, found, place);
            }
            (Shape::Texts, Node::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if !matches!(item, Node::Text(_)) {
                        let item_place = Place {
                            within: Some(place),
                            name: &index.to_string(),
                        };
                        self.shape(Shape::Text, item, &item_place);
                    }
                }
                return;
            }
            (Shape::Whole(least, most), Node::Number(number)) => {
                if !(f64::from(least)..=f64::from(most)).contains(number) || number.fract() != 0.0 {
                    let message = format!("must be a whole number from {least} to {most}");
                    self.fault(place, message);
                }
                return;
            }
            (Shape::Text, _) => "a string",
            (Shape::Texts, _) => "an array of strings",
            (Shape::Number | Shape::Whole(..), _) => "a number",
            (Shape::Bool, _) => "a boolean",
            (Shape::Members(_), _) => "an object",
        };
        self.fault(place, format!("must be {expected}, is {}", node.kind()));
    }

    fn fault(&mut self, place: &Place<'_>, message: String) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault::new(place.pointer(), message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{self, Text};

    fn faults(event: KnownEvent, data: &str) -> Vec<String> {
        let Ok(Node::Object(data)) = json::parse(data.as_bytes()) else {
            panic!()
        };
        let mut faults = Vec::new();
        check(event, &data, &mut faults);
        faults
            .into_iter()
            .map(|fault| format!("{} {}", fault.pointer, fault.message))
            .collect()
    }

    #[test]
    fn every_missing_member_is_reported() {
        assert_eq!(faults(KnownEvent::Ready, "{}"), ["/data/info is missing"]);
        assert_eq!(
            faults(KnownEvent::Ready, r#"{"info":{"wid":{}}}"#),
            [
                "/data/info/pushname is missing",
                "/data/info/wid/_serialized is missing"
            ]
        );
        assert_eq!(faults(KnownEvent::MessageCreate, "{}").len(), 9);
    }

    #[test]
    fn deviations_of_real_gateways_are_reported() {
        assert_eq!(
            faults(
                KnownEvent::MessageRevokeEveryone,
                r#"{"id":"ABC","revokedBy":null}"#
            ),
            [
                "/data/id must be an object, is a string",
                "/data/revokedBy must be a string, is null"
            ]
        );
        assert_eq!(
            faults(
                KnownEvent::GroupJoin,
                r#"{"chatId":"a","recipientIds":["b"],"author":"c"}"#
            ),
            ["/data/participants is missing"]
        );
        assert_eq!(
            faults(
                KnownEvent::GroupLeave,
                r#"{"chatId":"a","participants":["b",1,{}],"author":"c"}"#
            ),
            [
                "/data/participants/1 must be a string, is a number",
                "/data/participants/2 must be a string, is an object"
            ]
        );
        assert_eq!(
            faults(
                KnownEvent::Call,
                r#"{"id":"a","from":"b","timestamp":"1","isVideo":0,"isGroup":false}"#
            ),
            [
                "/data/timestamp must be a number, is a string",
                "/data/isVideo must be a boolean, is a number"
            ]
        );
    }

    #[test]
    fn ack_must_be_a_whole_number_from_minus_1_to_5() {
        let ack = |ack: &str| {
            faults(
                KnownEvent::MessageAck,
                &format!(r#"{{"id":{{"_serialized":"a"}},"ack":{ack}}}"#),
            )
        };
        for good in ["-1", "0", "5", "3.0"] {
            assert_eq!(ack(good), [""; 0], "{good}");
        }
        for bad in ["-2", "6", "1.5"] {
            assert_eq!(
                ack(bad),
                ["/data/ack must be a whole number from -1 to 5"],
                "{bad}"
            );
        }
        assert_eq!(ack("\"3\""), ["/data/ack must be a number, is a string"]);
    }

    #[test]
    fn unknown_members_are_accepted() {
        assert_eq!(
            faults(KnownEvent::Disconnected, r#"{"reason":"x","more":[1,{}]}"#),
            [""; 0]
        );
    }

    #[test]
    fn number_of_faults_is_capped() {
        let items = vec!["1"; 10_000].join(",");
        let data = format!(r#"{{"chatId":"a","participants":[{items}],"author":"c"}}"#);
        assert_eq!(faults(KnownEvent::GroupJoin, &data).len(), MAX_FAULTS);
    }

    #[test]
    fn documented_names_need_no_escape_in_a_pointer() {
        fn walk(members: &[Member]) {
            for (name, shape) in members {
                assert!(!name.contains(['~', '/']), "{name}");
                assert_eq!(Text::new(name).form(), *name);
                if let Shape::Members(members) = shape {
                    walk(members);
                }
            }
        }
        for event in KnownEvent::ALL {
            assert!(!documented(event).is_empty());
            walk(documented(event));
        }
    }
}
