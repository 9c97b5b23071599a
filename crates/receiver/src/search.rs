//! Which requests hold a text (pure).

use crate::request::Request;

/// Whether target, headers or body hold these bytes, whatever the case of
/// ASCII letters. Nothing is in everything.
pub(crate) fn holds(request: &Request, text: &[u8]) -> bool {
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
    fn a_text_is_found_wherever_it_is_and_in_any_case() {
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
