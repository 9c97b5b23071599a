//! JSON parser.

use std::borrow::Cow;

use super::{
    change::{Change, Path},
    fault::{JsonFault, JsonFaultKind},
    node::Node,
    object::{Object, ObjectBuilder},
    string,
    text::Text,
};

/// Digits that every `f64` keeps.
const SAFE_DIGITS: usize = 15;
/// Nesting limit of [`parse`] for arrays and objects.
pub const MAX_DEPTH: u8 = 64;

/// Parses a JSON text, nested at most [`MAX_DEPTH`] deep.
///
/// # Errors
/// When the text is not UTF-8, not JSON by the grammar of RFC 8259, or too deep.
pub fn parse(text: &[u8]) -> Result<Node<'_>, JsonFault> {
    parse_with_depth(text, MAX_DEPTH)
}

/// Parses a JSON text with at most `max_depth` nested arrays and objects. As a
/// `u8`, the limit keeps the recursion within any thread's stack.
///
/// # Errors
/// As [`parse`].
pub fn parse_with_depth(text: &[u8], max_depth: u8) -> Result<Node<'_>, JsonFault> {
    let parser = Parser {
        max_depth,
        ..Parser::default()
    };
    let (node, _) = parser.document(text)?;
    Ok(node)
}

/// Checks a JSON text as [`parse`] does, but keeps only the outermost array or object: those
/// in it are empty. Needs little memory, however many values the text has.
///
/// # Errors
/// As [`parse`].
pub fn parse_outline(text: &[u8]) -> Result<Node<'_>, JsonFault> {
    let parser = Parser {
        kept_depth: 1,
        ..Parser::default()
    };
    let (node, _) = parser.document(text)?;
    Ok(node)
}

/// Parses as [`parse`] and returns true if a value or key of the text is missing or another
/// one in the result: see [`parse_and_list_changes`].
///
/// # Errors
/// As [`parse`].
pub fn parse_and_compare(text: &[u8]) -> Result<(Node<'_>, bool), JsonFault> {
    let (node, parser) = Parser::default().document(text)?;
    Ok((node, parser.is_changed))
}

/// Parses as [`parse`] and returns the changed values as well, in order of the text. Slower
/// than [`parse_and_compare`].
///
/// # Errors
/// As [`parse`].
pub fn parse_and_list_changes(text: &[u8]) -> Result<(Node<'_>, Vec<Change>), JsonFault> {
    let parser = Parser {
        path: Some(Path::default()),
        ..Parser::default()
    };
    let (node, parser) = parser.document(text)?;
    let changes = parser.path.map(Path::into_changes).unwrap_or_default();
    Ok((node, changes))
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: u8,
    max_depth: u8,
    /// Items of arrays and objects below this depth are checked and dropped.
    kept_depth: u8,
    is_changed: bool,
    /// Place of the next value, if the changes are to be listed.
    path: Option<Path<'a>>,
}

impl Default for Parser<'_> {
    fn default() -> Self {
        Self {
            text: "",
            bytes: &[],
            at: 0,
            depth: 0,
            max_depth: MAX_DEPTH,
            kept_depth: u8::MAX,
            is_changed: false,
            path: None,
        }
    }
}

impl<'a> Parser<'a> {
    fn document(mut self, text: &'a [u8]) -> Result<(Node<'a>, Self), JsonFault> {
        self.text = std::str::from_utf8(text).map_err(|error| JsonFault {
            offset: error.valid_up_to(),
            kind: JsonFaultKind::NotUtf8,
        })?;
        self.bytes = self.text.as_bytes();
        let node = self.value("a value")?;
        match self.peek() {
            None => Ok((node, self)),
            Some(_) => Err(self.expected("the end of the text")),
        }
    }

    /// Parses a value; a fault names `expected`.
    fn value(&mut self, expected: &'static str) -> Result<Node<'a>, JsonFault> {
        match self.peek() {
            Some(b'"') => self.string().map(Node::Text),
            Some(b'{') => self.nested(Self::object).map(Node::Object),
            Some(b'[') => self.nested(Self::array).map(Node::Array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true", Node::Bool(true)),
            Some(b'f') => self.literal("false", Node::Bool(false)),
            Some(b'n') => self.literal("null", Node::Null),
            _ => Err(self.expected(expected)),
        }
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, JsonFault>,
    ) -> Result<T, JsonFault> {
        if self.depth == self.max_depth {
            return Err(self.fault(JsonFaultKind::TooDeep(self.max_depth)));
        }
        self.depth += 1;
        // Skip the opening bracket.
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Object<'a>, JsonFault> {
        let mut object = ObjectBuilder::default();
        if self.consume(b'}') {
            return Ok(object.finish());
        }
        let mut expected = "a key in quotes or '}'";
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected(expected));
            }
            let key = self.string()?;
            if !self.consume(b':') {
                return Err(self.expected("':'"));
            }
            if let Some(path) = &mut self.path {
                path.enter_member(key.clone());
            }
            let value = self.value("a value")?;
            if self.depth <= self.kept_depth && object.insert(key, value) {
                self.report("is a repeated key: only its last value is sent");
            }
            if let Some(path) = &mut self.path {
                path.leave();
            }
            if self.consume(b'}') {
                return Ok(object.finish());
            }
            if !self.consume(b',') {
                return Err(self.expected("',' or '}'"));
            }
            expected = "a key in quotes";
        }
    }

    fn array(&mut self) -> Result<Vec<Node<'a>>, JsonFault> {
        let mut items = Vec::new();
        if self.consume(b']') {
            return Ok(items);
        }
        let mut expected = "a value or ']'";
        loop {
            if let Some(path) = &mut self.path {
                path.enter_item(items.len());
            }
            let item = self.value(expected)?;
            if self.depth <= self.kept_depth {
                items.push(item);
            }
            if let Some(path) = &mut self.path {
                path.leave();
            }
            if self.consume(b']') {
                return Ok(items);
            }
            if !self.consume(b',') {
                return Err(self.expected("',' or ']'"));
            }
            expected = "a value";
        }
    }

    fn string(&mut self) -> Result<Text<'a>, JsonFault> {
        let (form, end): (Cow<'a, str>, _) = string::read(self.text, self.at + 1)?;
        self.at = end;
        Ok(Text::from_form(form))
    }

    fn literal(&mut self, word: &'static str, node: Node<'a>) -> Result<Node<'a>, JsonFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(node)
    }

    fn number(&mut self) -> Result<Node<'a>, JsonFault> {
        let start = self.at;
        self.at += usize::from(self.here() == Some(b'-'));
        if self.here() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.here() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.here() {
            self.at += 1;
            self.at += usize::from(matches!(self.here(), Some(b'+' | b'-')));
            self.digits()?;
        }
        // Rust's `f64` parser accepts every JSON number.
        let written = string::slice(self.text, start, self.at);
        let number: f64 = written.parse().unwrap_or(f64::NAN);
        if written.len() > SAFE_DIGITS && is_other_integer(written, number) {
            self.report("is an integer beyond 2^53, and another number is sent: send a string");
        }
        Ok(match number {
            0.0 => Node::Number(0.0),
            number if number.is_finite() => Node::Number(number),
            _ => {
                self.report("is a number too large for any receiver: null is sent");
                Node::Null
            }
        })
    }

    /// Reports a change of the current value.
    #[cold]
    fn report(&mut self, message: &'static str) {
        self.is_changed = true;
        if let Some(path) = &mut self.path {
            path.report(message);
        }
    }

    /// Consumes at least one digit.
    fn digits(&mut self) -> Result<(), JsonFault> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.expected("a digit"));
        }
        self.at += count;
        Ok(())
    }

    /// Consumes the byte if it is next, after whitespace.
    fn consume(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Skips whitespace and returns the next byte.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.here() {
            self.at += 1;
        }
        self.here()
    }

    fn here(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn expected(&self, what: &'static str) -> JsonFault {
        self.fault(match self.here() {
            Some(_) => JsonFaultKind::Expected(what),
            None => JsonFaultKind::EndsBefore(what),
        })
    }

    fn fault(&self, kind: JsonFaultKind) -> JsonFault {
        JsonFault {
            offset: self.at,
            kind,
        }
    }
}

/// Returns true if a JSON number is an integer and `read`, its value as `f64`, is printed
/// with other digits.
fn is_other_integer(written: &str, read: f64) -> bool {
    read.is_finite()
        && !written.contains(['.', 'e', 'E'])
        && ryu_js::Buffer::new().format_finite(read) != written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_text(text: &[u8]) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn fault_names_the_expected_input_and_the_offset() {
        for (text, expected) in [
            (r#"{"a":1,"b":"x" "c":2}"#, "expected ',' or '}' at byte 15"),
            (r#"{"a":1,}"#, "expected a key in quotes at byte 7"),
            ("{1:2}", "expected a key in quotes or '}' at byte 1"),
            (r#"{"a" 1}"#, "expected ':' at byte 5"),
            (r#"{"a":}"#, "expected a value at byte 5"),
            ("[1 2]", "expected ',' or ']' at byte 3"),
            ("[1,]", "expected a value at byte 3"),
            ("[}", "expected a value or ']' at byte 1"),
            ("1 2", "expected the end of the text at byte 2"),
            ("01", "expected the end of the text at byte 1"),
            ("-x", "expected a digit at byte 1"),
            ("1.e1", "expected a digit at byte 2"),
            ("truth", "expected a value at byte 0"),
            ("", "expected a value at byte 0, where the text ends"),
            ("[1", "expected ',' or ']' at byte 2, where the text ends"),
            (r#""abc"#, "expected '\"' at byte 4, where the text ends"),
            (r#""\"#, "expected an escape at byte 2, where the text ends"),
            (
                r#""\u12"#,
                "expected four hexadecimal digits at byte 5, where the text ends",
            ),
            (r#""\u12x4""#, "expected four hexadecimal digits at byte 3"),
            (r#""a\x""#, "unknown escape in a string at byte 2"),
            (
                "\"a\nb\"",
                "unescaped control character in a string at byte 2",
            ),
        ] {
            assert_eq!(fault_text(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(fault_text(b"\"a\xff\""), "invalid UTF-8 at byte 2");
        // An encoded surrogate is not UTF-8.
        assert_eq!(fault_text(b"\"\xed\xa0\xbd\""), "invalid UTF-8 at byte 1");
    }

    #[test]
    fn nesting_beyond_the_limit_is_rejected() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(parse(nested(64).as_bytes()).is_ok());
        assert_eq!(
            fault_text(nested(65).as_bytes()),
            "more than 64 nested arrays and objects at byte 64"
        );
        // Only brackets that are open at the same time count.
        assert!(parse(format!("[{}]", vec!["[]"; 1_000].join(",")).as_bytes()).is_ok());
        assert!(parse_with_depth(nested(255).as_bytes(), u8::MAX).is_ok());
        assert!(parse_with_depth(nested(1_000_000).as_bytes(), u8::MAX).is_err());
        assert!(parse_with_depth(b"1", 0).is_ok());
        assert!(parse_with_depth(b"[]", 0).is_err());
    }

    #[test]
    fn infinity_and_negative_zero_are_normalized_by_the_parser() {
        assert_eq!(parse(b"1e400"), Ok(Node::Null));
        let Ok(Node::Number(zero)) = parse(b"-0.0") else {
            panic!()
        };
        assert!(zero.is_sign_positive());
    }

    #[test]
    fn outline_has_the_outer_members_and_the_same_faults() {
        let text = br#"{"a":{"b":[1]},"c":[[2]],"d":"e","a":{}}"#;
        let Node::Object(members) = parse_outline(text).unwrap() else {
            panic!("an object");
        };
        assert_eq!(members.len(), 3);
        assert_eq!(members.get("a"), Some(&Node::Object(Object::default())));
        assert_eq!(members.get("c"), Some(&Node::Array(Vec::new())));
        assert_eq!(members.get("d"), Some(&Node::Text(Text::new("e"))));
        for text in [r#"{"a":[1,]}"#, r#"{"a":{"b":}}"#, "[[[", &"[".repeat(65)] {
            assert_eq!(parse_outline(text.as_bytes()), parse(text.as_bytes()));
        }
    }
}
