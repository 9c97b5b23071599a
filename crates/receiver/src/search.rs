//! Text search in requests (pure).

use memchr::memmem::Finder;

use crate::request::Request;

/// Limit for the searched text, in bytes.
pub(crate) const MAX_TEXT: usize = 1_000;
/// Bytes compared at once. Larger than [`MAX_TEXT`], because neighbouring parts overlap by
/// the length of the text.
const PART: usize = 64 << 10;

/// Search for one text; the case of ASCII letters is ignored. The time is linear in the size of the
/// requests, for any text.
pub(crate) struct Search {
    finder: Finder<'static>,
    /// Part of a request, in lower case.
    folded: Vec<u8>,
}

impl Search {
    /// Creates a search. Returns `None` if the text is longer than [`MAX_TEXT`].
    pub(crate) fn new(text: &str) -> Option<Self> {
        (text.len() <= MAX_TEXT).then(|| Self {
            finder: Finder::new(&text.to_ascii_lowercase()).into_owned(),
            folded: Vec::with_capacity(PART),
        })
    }

    /// Returns true if target, headers or body contain the text. Every request contains an
    /// empty one.
    pub(crate) fn matches(&mut self, request: &Request) -> bool {
        self.is_in(&request.body)
            || self.is_in(request.target.as_bytes())
            || request.headers.iter().any(|(name, value)| {
                self.is_in(name.as_str().as_bytes()) || self.is_in(value.as_bytes())
            })
    }

    fn is_in(&mut self, mut hay: &[u8]) -> bool {
        let overlap = self.finder.needle().len().saturating_sub(1);
        loop {
            let part = hay.get(..PART).unwrap_or(hay);
            self.folded.clear();
            self.folded.extend_from_slice(part);
            self.folded.make_ascii_lowercase();
            if self.finder.find(&self.folded).is_some() {
                return true;
            }
            if part.len() == hay.len() {
                return false;
            }
            hay = hay.get(PART - overlap..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(hay: &[u8], text: &str) -> bool {
        Search::new(text).unwrap().is_in(hay)
    }

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
            assert_eq!(contains(hay.as_bytes(), needle), found, "{needle} in {hay}");
        }
    }

    #[test]
    fn text_is_found_at_every_offset_around_the_end_of_a_part() {
        let text = "n".repeat(MAX_TEXT);
        for at in (PART - MAX_TEXT - 1..=PART + 1).chain([2 * PART - 500]) {
            let mut hay = vec![b'.'; 3 * PART];
            hay[at..at + MAX_TEXT].fill(b'N');
            assert!(contains(&hay, &text), "at {at}");
            hay[at] = b'.';
            assert!(!contains(&hay, &text), "at {at}");
        }
    }

    #[test]
    fn longer_text_is_refused() {
        assert!(Search::new(&"x".repeat(MAX_TEXT)).is_some());
        assert!(Search::new(&"x".repeat(MAX_TEXT + 1)).is_none());
    }
}
