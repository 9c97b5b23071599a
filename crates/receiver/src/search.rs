//! Text search in requests (pure).

use crate::request::Request;

/// Returns true if target, headers or body contain these bytes. The case of ASCII letters
/// is ignored. Every request contains an empty text.
pub(crate) fn contains_text(request: &Request, text: &[u8]) -> bool {
    let in_header = || {
        let mut headers = request.headers.iter();
        headers.any(|(name, value)| {
            contains(name.as_str().as_bytes(), text) || contains(value.as_bytes(), text)
        })
    };
    contains(&request.body, text) || contains(request.target.as_bytes(), text) || in_header()
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let Some((first, rest)) = needle.split_first() else {
        return true;
    };
    let starts = |at: usize| {
        let after = hay.get(at + 1..at + needle.len());
        after.is_some_and(|after| after.eq_ignore_ascii_case(rest))
    };
    hay.iter()
        .enumerate()
        .any(|(at, byte)| byte.eq_ignore_ascii_case(first) && starts(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_found_anywhere_and_in_any_ascii_case() {
        for (hay, needle, found) in [
            ("Hello", "hello", true),
            ("Hello", "LO", true),
            ("Hello", "", true),
            ("", "", true),
            ("Hello", "hellos", false),
            ("aab", "ab", true),
            ("grün", "GRün", true),
            ("a", "b", false),
        ] {
            assert_eq!(
                contains(hay.as_bytes(), needle.as_bytes()),
                found,
                "{needle} in {hay}"
            );
        }
    }
}
