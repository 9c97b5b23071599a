//! JSON with exactly the output of ECMAScript's `JSON.stringify(JSON.parse(text))`.
//!
//! Receivers verify a signature over the output of their own parser and printer,
//! so the sent bytes must be a fixed point of both. General JSON crates differ
//! from ECMAScript in the order of keys, in numbers and in lone surrogates. The
//! rules here:
//!
//! - members whose key is an array index (`0` to `4294967294`) come first, in
//!   ascending order, then the others in order of first insertion; a repeated
//!   key keeps its first position and its last value;
//! - numbers are rounded to the nearest `f64` and printed as ECMAScript does;
//!   `-0` becomes `0`, a number too large becomes `null`;
//! - strings escape `"`, `\`, control characters and lone surrogates, and
//!   nothing else.

mod change;
mod cost;
mod fault;
mod node;
mod object;
mod parse;
mod print;
mod string;
mod text;

pub use change::Change;
pub use cost::tree_bytes;
pub use fault::{JsonFault, JsonFaultKind};
pub use node::Node;
pub use object::Object;
pub use parse::{
    MAX_DEPTH, parse, parse_and_compare, parse_and_list_changes, parse_outline, parse_with_depth,
};
pub use print::print;
pub use string::skip_string;
pub use text::Text;
