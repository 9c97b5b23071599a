//! Comparison of the canonical form of a body with node's own output, byte for byte.

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::collection::vec;
use proptest::prelude::*;
use wahook_domain::json::{self, JsonFaultKind};
use wahook_hostile::spelled::{key, spelled_json};
use wahook_tests::generated::{drawn, how_many, seed};

/// Depth limit above the depth of every text here; the limit of events is `json::MAX_DEPTH`.
const DEEP: u8 = u8::MAX;

/// Node process for all texts. It ends at the end of its input.
struct Node {
    process: Child,
    texts: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Node {
    fn start() -> Self {
        let folder = wahook_tests::workspace().join("tests/node");
        let mut process = Command::new("node")
            .arg("canonical.js")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let texts = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            process,
            texts,
            answers,
        }
    }

    /// Returns node's output, or `None` if node rejects the text.
    fn canonical(&mut self, text: &[u8]) -> Option<String> {
        writeln!(self.texts, "{}", STANDARD.encode(text)).unwrap();
        let answer = self.answers.next().unwrap().unwrap();
        let canonical = STANDARD.decode(answer).unwrap();
        (!canonical.is_empty()).then(|| String::from_utf8(canonical).unwrap())
    }

    fn stop(mut self) {
        drop(self.texts);
        assert!(self.process.wait().unwrap().success());
    }
}

fn ours(text: &[u8], depth: u8) -> Result<String, JsonFaultKind> {
    let node = json::parse_with_depth(text, depth).map_err(|fault| fault.kind)?;
    let mut printed = Vec::new();
    json::print(&node, &mut printed);
    Ok(String::from_utf8(printed).unwrap())
}

/// Compares both parsers. A text that is too deep for an event is compared with a higher limit.
fn agree(node: &mut Node, text: &[u8]) -> Result<(), String> {
    let ours = match ours(text, json::MAX_DEPTH) {
        Err(JsonFaultKind::TooDeep(_)) => ours(text, DEEP),
        other => other,
    };
    let nodes = node.canonical(text);
    if ours.as_ref().ok() == nodes.as_ref() {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(text);
    Err(format!("{shown}\nnode: {nodes:?}\nours: {ours:?}"))
}

#[test]
fn every_case_is_printed_as_node_prints_it() {
    let cases = include_str!("../../crates/domain/tests/data/canonical_cases.jsonl");
    let mut node = Node::start();
    for line in cases.lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let input = case["input"].as_str().unwrap();
        let expected = case["expected"].as_str().map(str::to_owned);
        assert_eq!(node.canonical(input.as_bytes()), expected, "{line}");
        agree(&mut node, input.as_bytes()).unwrap();
    }
    node.stop();
}

#[test]
fn random_documents_are_printed_as_node_prints_them() {
    let (seed, count) = (seed(), how_many());
    let mut node = Node::start();
    let (mut refused, mut deep) = (0, 0);
    for (index, text) in drawn(seed, hostile()).take(count).enumerate() {
        if let Err(difference) = agree(&mut node, &text) {
            panic!("WAHOOK_FUZZ_SEED={seed}, document {index}: {difference}");
        }
        match ours(&text, json::MAX_DEPTH) {
            Ok(_) => {}
            Err(JsonFaultKind::TooDeep(_)) => deep += 1,
            Err(_) => refused += 1,
        }
    }
    node.stop();
    println!("{count} documents, {refused} refused by both, {deep} too deep for an event");
    // A meaningful mix of valid, broken and deep texts.
    assert!(
        refused > count / 20 && refused < count / 2,
        "{refused} of {count}"
    );
    assert!(deep > 0);
}

/// Valid, broken and deep texts.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let valid = spelled_json().prop_map(String::into_bytes);
    let broken = (spelled_json(), vec(damage(), 1..3)).prop_map(|(text, damages)| {
        let mut bytes = text.into_bytes();
        for damage in damages {
            damage.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![6 => valid, 3 => broken, 1 => deep()]
}

#[derive(Debug, Clone)]
enum Damage {
    Cut(prop::sample::Index),
    Remove(prop::sample::Index),
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    let significant = prop::sample::select(b"\"\\{}[],:0-+.eEu \n\0\xff\xed\xa0".to_vec());
    let byte = prop_oneof![significant, any::<u8>()];
    prop_oneof![
        1 => place().prop_map(Damage::Cut),
        2 => place().prop_map(Damage::Remove),
        3 => (place(), byte.clone()).prop_map(|(place, byte)| Damage::Replace(place, byte)),
        3 => (place(), byte).prop_map(|(place, byte)| Damage::Insert(place, byte)),
    ]
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Cut(place) => bytes.truncate(place.index(length)),
            Self::Remove(place) => {
                bytes.remove(place.index(length));
            }
            Self::Replace(place, byte) => bytes[place.index(length)] = byte,
            Self::Insert(place, byte) => bytes.insert(place.index(length), byte),
        }
    }
}

/// Nesting around the depth limit of events.
fn deep() -> impl Strategy<Value = Vec<u8>> {
    let level = prop_oneof![
        Just(("[".to_owned(), "]")),
        key().prop_map(|key| (format!("{{{key}:"), "}"))
    ];
    vec(level, 55..75).prop_map(|levels| {
        let opened = levels.iter().map(|(open, _)| open.as_str());
        let closed = levels.iter().rev().map(|(_, close)| *close);
        opened
            .chain(["1.0"])
            .chain(closed)
            .collect::<String>()
            .into_bytes()
    })
}
