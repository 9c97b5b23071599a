//! Why a text is not JSON.

use std::fmt;

/// Where and why a text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonFault {
    /// In bytes, from 0.
    pub offset: usize,
    /// What is wrong there.
    pub kind: JsonFaultKind,
}

/// What is wrong with a text that is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFaultKind {
    /// Something else was expected: its description.
    Expected(&'static str),
    /// The text ends where something was expected: its description.
    EndsBefore(&'static str),
    /// A byte that is not part of valid UTF-8.
    NotUtf8,
    /// A control character that is not escaped within a string.
    ControlCharacter,
    /// A backslash with something behind it that is no escape.
    Escape,
    /// Arrays and objects within each other, more than this many.
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
