//! The canonical body is what ECMAScript makes of a text, and stays so.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy's leave for tests does not reach the functions they share"
)]

use proptest::{collection::vec, prelude::*};
use wahook_domain::{
    CanonicalBody, EventId, Ingest, UnixMillis, Validation, ingest,
    json::{self, JsonFaultKind, Node},
};

/// Deeper than any case; `ingest` itself stops at `json::MAX_DEPTH`.
const DEEP: u8 = u8::MAX;

fn printed(node: &Node<'_>) -> String {
    let mut out = Vec::new();
    json::print(node, &mut out);
    String::from_utf8(out).unwrap()
}

struct Case {
    name: String,
    input: String,
    /// What node printed; `None` where it refused the text.
    expected: Option<String>,
}

fn cases() -> Vec<Case> {
    include_str!("data/canonical_cases.jsonl")
        .lines()
        .map(|line| {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            Case {
                name: case["name"].as_str().unwrap().to_owned(),
                input: case["input"].as_str().unwrap().to_owned(),
                expected: case["expected"].as_str().map(str::to_owned),
            }
        })
        .collect()
}

#[test]
fn every_case_is_printed_as_node_prints_it() {
    let cases = cases();
    assert_eq!(cases.len(), 120);
    for Case {
        name,
        input,
        expected,
    } in cases
    {
        let found = json::parse_with_depth(input.as_bytes(), DEEP);
        assert_eq!(found.map(|node| printed(&node)).ok(), expected, "{name}");
    }
}

#[test]
fn the_depth_limit_alone_refuses_what_is_deeper() {
    let depth = |text: &str| {
        text.bytes()
            .fold((0u8, 0u8), |(open, most), byte| match byte {
                b'[' | b'{' => (open + 1, most.max(open + 1)),
                b']' | b'}' => (open - 1, most),
                _ => (open, most),
            })
    };
    let accepted: Vec<_> = cases()
        .into_iter()
        .filter(|case| case.expected.is_some())
        .collect();
    let mut deeper = Vec::new();
    for Case {
        name,
        input,
        expected,
    } in accepted
    {
        match json::parse(input.as_bytes()) {
            Ok(node) => assert_eq!(Some(printed(&node)), expected, "{name}"),
            Err(fault) => {
                assert_eq!(
                    fault.kind,
                    JsonFaultKind::TooDeep(json::MAX_DEPTH),
                    "{name}"
                );
                assert!(depth(&input).1 > json::MAX_DEPTH, "{name}");
                deeper.push(name);
            }
        }
    }
    assert_eq!(deeper, ["depth_array_128", "depth_object_130"]);
}

/// A string in one of its many spellings, quotes included.
fn spelled_string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z0-9 ]{0,6}",
        1 => "[^\"\\\\\\x00-\\x1f]{0,3}",
        1 => prop::sample::select(vec![
            "\\\"", "\\\\", "\\/", "\\b", "\\f", "\\n", "\\r", "\\t", "\\u0000", "\\u001F", "\\u007f",
            "\\u0041", "\\u00e9", "\\u2028", "\\ud83d", "\\uDC4D", "\\ud83d\\udc4d", "\\uD83D\\uDC4D",
        ]).prop_map(str::to_owned),
    ];
    vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn spelled_number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?",
        any::<f64>()
            .prop_filter("JSON has no other", |n| n.is_finite())
            .prop_map(|n| format!("{n:e}")),
        any::<i64>().prop_map(|n| n.to_string()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "\"[a-d]\"",
        "\"(0|[1-9][0-9]{0,10}|0[0-9])\"",
        Just("\"\\u0031\"".to_owned()),
        Just("\"__proto__\"".to_owned()),
        spelled_string(),
    ]
}

/// A JSON text with odd spacing, odd spellings and repeated keys.
fn spelled_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["null", "true", "false", "-0", "1.0", "1e400"])
            .prop_map(str::to_owned),
        spelled_number(),
        spelled_string(),
    ];
    let space = || prop::sample::select(vec!["", " ", "\n\t", "\r\n  "]);
    leaf.prop_recursive(5, 60, 24, move |inner| {
        let member = (key(), inner.clone()).prop_map(|(key, value)| format!("{key}:{value}"));
        prop_oneof![
            (vec(inner, 0..8), space()).prop_map(|(items, space)| {
                format!(
                    "[{space}{}{space}]",
                    items.join(&format!("{space},{space}"))
                )
            }),
            (vec(member, 0..24), space()).prop_map(|(members, space)| {
                format!(
                    "{{{space}{}{space}}}",
                    members.join(&format!("{space},{space}"))
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_is_a_fixed_point(text in spelled_json()) {
        let node = json::parse(text.as_bytes()).unwrap();
        let once = printed(&node);
        let again = json::parse(once.as_bytes()).unwrap();
        prop_assert_eq!(&printed(&again), &once);
        // Nothing is lost between the two: the same tree is read back.
        prop_assert_eq!(&again, &node);
    }

    #[test]
    fn strings_mean_what_they_meant(text in spelled_string()) {
        let Ok(Node::Text(string)) = json::parse(text.as_bytes()) else { panic!("{text}") };
        let (plain, had_lone_surrogates) = string.to_str();
        match serde_json::from_str::<String>(&text) {
            Ok(expected) => {
                prop_assert!(!had_lone_surrogates);
                prop_assert_eq!(plain, expected);
            }
            Err(_) => prop_assert!(had_lone_surrogates && plain.contains(char::REPLACEMENT_CHARACTER)),
        }
    }

    #[test]
    fn no_bytes_at_all_cause_a_panic(bytes in vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:0-9eE.+\\-truefalsn\\\\ud ]{0,40}") {
        for text in [bytes.as_slice(), text.as_bytes()] {
            match json::parse(text) {
                Ok(node) => prop_assert!(json::parse(printed(&node).as_bytes()).is_ok()),
                Err(fault) => prop_assert!(fault.offset <= text.len()),
            }
        }
    }

    #[test]
    fn a_body_is_a_fixed_point_and_survives_the_queue(data in vec((key(), spelled_json()), 0..6), extra in vec((key(), spelled_json()), 0..6)) {
        let members = |members: &[(String, String)]| {
            members.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>()
        };
        let data = format!("\"data\":{{{}}}", members(&data).join(","));
        let mut all = members(&extra);
        all.insert(all.len() / 2, data);
        all.push("\"event\":\"ping\"".to_owned());
        let raw = format!("{{{}}}", all.join(","));

        let context = Ingest {
            validation: Validation::Lenient,
            now: UnixMillis::new(0),
            idempotency_key: None,
        };
        let event = ingest(raw.as_bytes(), context, || EventId::parse("fresh").unwrap()).unwrap();
        let body = std::str::from_utf8(event.body.as_bytes()).unwrap();
        prop_assert_eq!(&printed(&event.body.parse()), body);
        prop_assert_eq!(CanonicalBody::check(event.body.bytes()), Ok(event.body.clone()));
    }
}
