//! Faults of the JSON parser.

use std::fmt;

/// Fault in a JSON text, with its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFault {
    /// Byte offset, from 0.
    pub offset: usize,
    pub kind: JsonFaultKind,
}

/// Reason why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFaultKind {
    /// Unexpected input; holds a description of the expected one.
    Expected(&'static str),
    /// Unexpected end of the text; holds a description of the expected input.
    EndsBefore(&'static str),
    /// Byte that is not valid UTF-8.
    NotUtf8,
    /// Unescaped control character in a string.
    ControlCharacter,
    /// Backslash that starts no known escape.
    Escape,
    /// More nested arrays and objects than this limit.
    TooDeep(u8),
}

impl std::error::Error for JsonFault {}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.offset;
        match self.kind {
            JsonFaultKind::Expected(what) => write!(f, "expected {what} at byte {offset}"),
            JsonFaultKind::EndsBefore(what) => {
                write!(f, "expected {what} at byte {offset}, where the text ends")
            }
            JsonFaultKind::NotUtf8 => write!(f, "invalid UTF-8 at byte {offset}"),
            JsonFaultKind::ControlCharacter => {
                write!(
                    f,
                    "unescaped control character in a string at byte {offset}"
                )
            }
            JsonFaultKind::Escape => write!(f, "unknown escape in a string at byte {offset}"),
            JsonFaultKind::TooDeep(limit) => {
                write!(
                    f,
                    "more than {limit} nested arrays and objects at byte {offset}"
                )
            }
        }
    }
}
