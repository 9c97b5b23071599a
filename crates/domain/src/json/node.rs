//! JSON values.

use super::{object::Object, text::Text};

/// JSON value that borrows from its source text.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// `null`, and every number too large for an `f64`.
    Null,
    Bool(bool),
    /// Any other number. The parser returns neither infinities nor `-0`.
    Number(f64),
    Text(Text<'a>),
    Array(Vec<Node<'a>>),
    Object(Object<'a>),
}

impl Node<'_> {
    /// Returns the type of the value for messages: `a string`, `null`, …
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
