//! Canonical JSON equals the output of ECMAScript and is a fixed point.
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

use proptest::{collection::vec, prelude::*};
use wahook_domain::{
    EventBody, EventId, Ingest, UnixMillis, Validation, ingest,
    json::{self, JsonFaultKind, Node},
};
use wahook_hostile::spelled::{key, spelled_json, spelled_string};

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
    /// Output of node; `None` if node rejected the text.
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
fn deeper_texts_are_rejected_only_by_the_depth_limit() {
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

proptest! {
    #[test]
    fn the_canonical_form_is_a_fixed_point(text in spelled_json()) {
        let node = json::parse(text.as_bytes()).unwrap();
        let once = printed(&node);
        let again = json::parse(once.as_bytes()).unwrap();
        prop_assert_eq!(&printed(&again), &once);
        // Nothing is lost: the printed text is parsed to the same tree.
        prop_assert_eq!(&again, &node);
    }

    #[test]
    fn strings_keep_their_meaning(text in spelled_string()) {
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
    fn arbitrary_bytes_cause_no_panic(bytes in vec(any::<u8>(), 0..64), text in "[\\[\\]{}\",:0-9eE.+\\-truefalsn\\\\ud ]{0,40}") {
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
        prop_assert_eq!(EventBody::check(event.body.bytes()), Ok(event.body.clone()));
    }
}
