//! JSON exactly as `JSON.stringify(JSON.parse(text))` of ECMAScript leaves it.
//!
//! Receivers sign what their own parser and printer make of a body, so the bytes
//! that are sent must be a fixed point of both. General JSON crates differ from
//! ECMAScript in the order of keys, in numbers and in lone surrogates; here these
//! rules hold:
//!
//! - members whose key is an array index (`0` to `4294967294`) come first, in
//!   ascending order, then the others in order of first insertion; of members
//!   with one key the last value stays, at the first one's place;
//! - numbers are rounded to the nearest `f64` and printed as ECMAScript does;
//!   `-0` becomes `0`, a number too large becomes `null`;
//! - strings escape `"`, `\`, control characters and lone surrogates, and
//!   nothing else.

mod fault;
mod node;
mod object;
mod parse;
mod print;
mod string;
mod text;

pub use fault::{JsonFault, JsonFaultKind};
pub use node::Node;
pub use object::Object;
pub use parse::{MAX_DEPTH, parse, parse_with_depth};
pub use print::print;
pub use text::Text;
