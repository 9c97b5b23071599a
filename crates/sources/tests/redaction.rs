//! Redaction of bytes equals redaction of the parsed value.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

use proptest::{collection::vec, prelude::*};
use wahook_domain::json::{self, Node, Text};
use wahook_hostile::spelled::spelled_json;
use wahook_sources::{Pointer, redact, redact_form};

fn printed(node: &Node<'_>) -> String {
    let mut out = Vec::new();
    json::print(node, &mut out);
    String::from_utf8(out).unwrap()
}

/// Replaces the values at the end of these paths.
fn replaced<'a>(node: Node<'a>, paths: &[Vec<&str>]) -> Node<'a> {
    if paths.iter().any(Vec::is_empty) {
        return Node::Text(Text::new("[redacted]"));
    }
    let inner = |name: &str| -> Vec<Vec<&str>> {
        let matching = paths.iter().filter(|path| ["*", name].contains(&path[0]));
        matching.map(|path| path[1..].to_vec()).collect()
    };
    match node {
        Node::Object(members) => {
            let members = members.into_iter();
            Node::Object(
                members
                    .map(|(key, value)| {
                        let paths = inner(&key.to_str().0);
                        (key, replaced(value, &paths))
                    })
                    .collect(),
            )
        }
        Node::Array(items) => {
            let items = items.into_iter().zip(0..);
            Node::Array(
                items
                    .map(|(item, index): (_, usize)| replaced(item, &inner(&index.to_string())))
                    .collect(),
            )
        }
        other => other,
    }
}

fn paths() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    let step = prop::sample::select(vec!["a", "b", "c", "d", "0", "1", "2", "*", "1.0", ""]);
    vec(vec(step, 1..4), 0..4)
}

fn pointers(paths: &[Vec<&str>]) -> Vec<Pointer> {
    let texts = paths.iter().map(|path| format!("/{}", path.join("/")));
    texts.map(|text| text.parse().unwrap()).collect()
}

proptest! {
    #[test]
    fn redacted_bytes_are_the_redacted_value(text in spelled_json(), paths in paths()) {
        let pointers = pointers(&paths);
        let expected = replaced(json::parse(text.as_bytes()).unwrap(), &paths);
        let found = redact(text.as_bytes(), &pointers);
        prop_assert_eq!(printed(&json::parse(&found).unwrap()), printed(&expected));
        prop_assert_eq!(&redact(&found, &pointers), &found);
    }
}

const TEXTS: &[&str] = &[
    r#"{"a":[1,{"b":"x\"y","a":null}],"b":{"c":1.5e3,"0":true}}"#,
    r#" [ {"a" : "\u0061" , "a":[]} , [ [2] ] ] "#,
];

proptest! {
    #![proptest_config(wahook_hostile::cases(256))]

    #[test]
    fn hostile_text_is_redacted_without_a_panic(
        text in wahook_hostile::damaged(TEXTS),
        paths in paths(),
    ) {
        let pointers = pointers(&paths);
        drop(redact(&text, &pointers));
        drop(redact_form(&text, &pointers));
    }
}
