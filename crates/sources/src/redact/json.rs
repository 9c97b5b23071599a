//! Redaction of a JSON text.

use std::borrow::Cow;

use wahook_domain::json::{self, Node};

use super::{
    REDACTED,
    pointer::{Pointer, Step},
};
use crate::received::BOM;

/// Replaces the values at these places of a valid JSON text by the string `[redacted]`. Every
/// occurrence of a repeated key is redacted.
#[must_use]
pub fn redact<'a>(json: &'a [u8], pointers: &[Pointer]) -> Cow<'a, [u8]> {
    if pointers.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut scan = Scan {
        json,
        at: if json.starts_with(BOM) { BOM.len() } else { 0 },
        kept: 0,
        redacted: Vec::new(),
    };
    let sought: Vec<_> = pointers.iter().map(Pointer::steps).collect();
    scan.value(&sought);
    scan.finish()
}

/// Reader of a JSON text. Recursion ends at the depth of the longest pointer.
struct Scan<'a> {
    json: &'a [u8],
    at: usize,
    /// Start of the text that is not in `redacted` yet.
    kept: usize,
    redacted: Vec<u8>,
}

impl<'a> Scan<'a> {
    fn finish(mut self) -> Cow<'a, [u8]> {
        if self.kept == 0 {
            return Cow::Borrowed(self.json);
        }
        let rest = self.json.get(self.kept..).unwrap_or_default();
        self.redacted.extend_from_slice(rest);
        Cow::Owned(self.redacted)
    }

    /// Reads a value, in which these steps lead to redacted ones.
    fn value(&mut self, sought: &[&[Step]]) {
        if sought.iter().any(|steps| steps.is_empty()) {
            return self.replace();
        }
        match self.peek() {
            Some(b'{') if !sought.is_empty() => self.object(sought),
            Some(b'[') if !sought.is_empty() => self.array(sought),
            _ => self.skip(),
        }
    }

    fn object(&mut self, sought: &[&[Step]]) {
        self.at += 1;
        while self.peek() == Some(b'"') {
            let start = self.at;
            (self.at, _) = json::skip_string(self.json, start + 1);
            let key = self.json.get(start..self.at).unwrap_or_default();
            let inner = match json::parse(key) {
                Ok(Node::Text(key)) => within(sought, |step| step.is_key(&key)),
                _ => Vec::new(),
            };
            self.consume(b':');
            self.value(&inner);
            self.consume(b',');
        }
        self.consume(b'}');
    }

    fn array(&mut self, sought: &[&[Step]]) {
        self.at += 1;
        let mut index = 0;
        while self.peek().is_some_and(|byte| byte != b']') {
            self.value(&within(sought, |step| step.is_index(index)));
            self.consume(b',');
            index += 1;
        }
        self.consume(b']');
    }

    fn replace(&mut self) {
        self.peek();
        let before = self.json.get(self.kept..self.at).unwrap_or_default();
        self.redacted.extend_from_slice(before);
        self.redacted.push(b'"');
        self.redacted.extend_from_slice(REDACTED.as_bytes());
        self.redacted.push(b'"');
        self.skip();
        self.kept = self.at;
    }

    /// Skips a value without recursion.
    fn skip(&mut self) {
        let mut depth = 0_usize;
        loop {
            match self.peek() {
                Some(b'"') => (self.at, _) = json::skip_string(self.json, self.at + 1),
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') => {
                    depth = depth.saturating_sub(1);
                    self.at += 1;
                }
                Some(_) => self.at += 1 + self.word_length(self.at + 1),
                None => return,
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// Returns the length of the rest of a number, `true`, `false` or `null`.
    fn word_length(&self, start: usize) -> usize {
        let rest = self.json.get(start..).unwrap_or_default();
        let ends =
            |byte: &u8| !matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'E' | b'+' | b'-');
        rest.iter().position(ends).unwrap_or(rest.len())
    }

    /// Skips the byte if it is next, after whitespace.
    fn consume(&mut self, byte: u8) {
        self.at += usize::from(self.peek() == Some(byte));
    }

    /// Skips whitespace and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.json.get(self.at) {
            self.at += 1;
        }
        self.json.get(self.at).copied()
    }
}

/// Returns the steps that remain within a member or item.
fn within<'p>(sought: &[&'p [Step]], is_next: impl Fn(&Step) -> bool) -> Vec<&'p [Step]> {
    let steps = sought.iter().filter_map(|steps| steps.split_first());
    steps
        .filter(|(step, _)| is_next(step))
        .map(|(_, rest)| rest)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn redacted(json: &str, texts: &[&str]) -> String {
        let redacted = redact(json.as_bytes(), &pointers(texts));
        String::from_utf8(redacted.into_owned()).unwrap()
    }

    #[test]
    fn all_other_bytes_stay() {
        let json = " {\"b\\u0031\" : 1.50,\n\"apikey\":\t{\"x\":[1,\"}\\\"\"]} , \"z\":\"\\/\"} ";
        assert_eq!(
            redacted(json, &["/apikey"]),
            " {\"b\\u0031\" : 1.50,\n\"apikey\":\t\"[redacted]\" , \"z\":\"\\/\"} "
        );
        assert_eq!(
            redacted(json, &["/b1", "/z"]),
            " {\"b\\u0031\" : \"[redacted]\",\n\"apikey\":\t{\"x\":[1,\"}\\\"\"]} , \"z\":\"[redacted]\"} "
        );
    }

    #[test]
    fn every_occurrence_of_a_key_is_redacted() {
        assert_eq!(
            redacted(r#"{"a":1,"a":[],"\u0061":{},"b":{"a":2}}"#, &["/a"]),
            r#"{"a":"[redacted]","a":"[redacted]","\u0061":"[redacted]","b":{"a":2}}"#
        );
    }

    #[test]
    fn text_after_a_byte_order_mark_is_redacted() {
        assert_eq!(
            redacted("\u{feff}{\"a\":1}", &["/a"]),
            "\u{feff}{\"a\":\"[redacted]\"}"
        );
    }

    #[test]
    fn star_matches_all_members_and_items() {
        let json = r#"{"a":[{"key":1},{"key":null,"b":0},[3]],"b":{"key":"x"}}"#;
        assert_eq!(
            redacted(json, &["/a/*/key", "/a/2/0"]),
            r#"{"a":[{"key":"[redacted]"},{"key":"[redacted]","b":0},["[redacted]"]],"b":{"key":"x"}}"#
        );
        assert_eq!(
            redacted(json, &["/*", "/a/0"]),
            r#"{"a":"[redacted]","b":"[redacted]"}"#
        );
    }

    #[test]
    fn text_without_the_place_is_borrowed() {
        let pointers = pointers(&["/apikey", "/data/key/~1", "/list/01", "/list/-"]);
        for json in [
            "{}",
            "[]",
            " 1 ",
            "",
            r#"{"data":{"apikey":1,"key":"/"}}"#,
            r#"{"list":[1,2]}"#,
        ] {
            let redacted = redact(json.as_bytes(), &pointers);
            assert!(matches!(redacted, Cow::Borrowed(_)), "{json}");
        }
    }

    #[test]
    fn deep_text_is_skipped_without_recursion() {
        let deep = format!(
            "{{\"d\":{}1{},\"a\":2}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        assert!(redacted(&deep, &["/a"]).ends_with("],\"a\":\"[redacted]\"}"));
    }
}
