//! A JSON value.

use super::{object::Object, text::Text};

/// A JSON value that borrows from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// `null`, and every number too large for an `f64`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any other number. The parser gives neither infinities nor `-0`.
    Number(f64),
    /// A string.
    Text(Text<'a>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object.
    Object(Object<'a>),
}

impl Node<'_> {
    /// What the value is, for messages: `a string`, `null`, …
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}
