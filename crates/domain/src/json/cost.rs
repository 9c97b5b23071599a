//! Memory of a parsed text.

use super::{node::Node, string, text::Text};

/// A vector doubles its capacity when it grows, and has the old and the new buffer
/// meanwhile.
const GROWTH: usize = 3;
/// Array item, or half of an object's member.
const ITEM: usize = GROWTH * size_of::<Node<'_>>();
/// Member of an object, and of the index of its keys: a hash table that also doubles, up
/// to 7/8 full.
const MEMBER: usize =
    GROWTH * size_of::<(Text<'_>, Node<'_>)>() + 4 * (size_of::<(Text<'_>, usize)>() + 1);
/// Smallest buffer of an array or object: four items.
const SMALLEST: usize = 4 * size_of::<(Text<'_>, Node<'_>)>();
/// Allocation of a string whose escapes are not canonical, without its bytes.
const OWNED_STRING: usize = 64;

/// Returns an upper bound of the memory that [`parse`](super::parse) needs for this text,
/// in bytes, without the text itself. Reads the text once and builds nothing; for a text
/// that is not JSON the bound covers the part before the fault.
#[must_use]
pub fn tree_bytes(text: &[u8]) -> usize {
    let mut bytes = size_of::<Node<'_>>();
    let mut has_escapes = false;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        bytes += match byte {
            b',' => ITEM,
            b':' => MEMBER,
            b'[' | b'{' => SMALLEST,
            b'"' => {
                let (end, escapes) = string::skip_string(text, at);
                at = end;
                has_escapes |= escapes > 0;
                if escapes > 0 { OWNED_STRING } else { 0 }
            }
            _ => 0,
        };
    }
    // The unescaped strings, twice as large while they grow, and once more in an index.
    bytes + if has_escapes { 3 * text.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cost_more_than_their_text_and_long_strings_nothing() {
        let zeros = format!("[{}0]", "0,".repeat(1_000_000));
        assert!(tree_bytes(zeros.as_bytes()) > 1_000_000 * size_of::<Node<'_>>() * 2);
        let members = (0..1_000)
            .map(|n| format!("\"k{n}\":0,"))
            .collect::<String>();
        let members = format!("{{{members}\"k\":0}}");
        assert!(tree_bytes(members.as_bytes()) > 1_000 * 2 * size_of::<(Text<'_>, Node<'_>)>());
        let photo = format!(
            "{{\"data\":{{\"media\":\"{}\"}}}}",
            "a,:[".repeat(1_000_000)
        );
        assert!(tree_bytes(photo.as_bytes()) < 2_000);
    }

    #[test]
    fn escapes_cost_a_copy_of_the_strings() {
        let slashes = format!("[\"{}\"]", "\\/\\\"x".repeat(1_000));
        let cost = tree_bytes(slashes.as_bytes());
        assert!((slashes.len()..4 * slashes.len()).contains(&cost), "{cost}");
    }

    #[test]
    fn text_that_is_not_json_has_a_bound_too() {
        for text in ["", "\"", "\"\\", "\"\\\"", "[[[", "\\", "{\"a\":\"b"] {
            assert!(tree_bytes(text.as_bytes()) < 4_096, "{text}");
        }
    }
}
