//! Start of an answer's body, which the log keeps for failed attempts.

use std::sync::Arc;

/// Maximum number of bytes that are kept.
const MOST_BYTES: usize = 1024;

/// First bytes of a body.
#[derive(Debug, Default)]
pub(super) struct BodyStart(Vec<u8>);

impl BodyStart {
    /// Adds the next bytes of the body, up to the maximum.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = MOST_BYTES.saturating_sub(self.0.len());
        self.0.extend(bytes.iter().take(room));
    }

    /// Returns the bytes as text, at most as long as the maximum. Bytes that are not UTF-8 are
    /// replaced. `None` if the body is empty.
    pub(super) fn text(&self) -> Option<Arc<str>> {
        let text = String::from_utf8_lossy(&self.0);
        let mut text = text.get(..text.floor_char_boundary(MOST_BYTES))?;
        if self.0.len() == MOST_BYTES {
            // The last character may have been cut.
            text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        }
        (!text.is_empty()).then(|| text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &[&[u8]]) -> Option<String> {
        let mut start = BodyStart::default();
        parts.iter().for_each(|part| start.add(part));
        start.text().map(|text| text.to_string())
    }

    #[test]
    fn start_of_a_body_is_its_first_kibibyte() {
        assert_eq!(text(&[]), None);
        assert_eq!(
            text(&[b"", b"out of ", b"paper"]).as_deref(),
            Some("out of paper")
        );
        let long = "x".repeat(5_000);
        let kept = Some("x".repeat(1_024));
        assert_eq!(text(&[long.as_bytes()]), kept);
        assert_eq!(text(&[&long.as_bytes()[..1_000], long.as_bytes()]), kept);
    }

    #[test]
    fn start_of_a_body_is_text_and_not_longer() {
        let cut = format!("{}\u{e9}", "x".repeat(1_023));
        assert_eq!(text(&[cut.as_bytes()]), Some("x".repeat(1_023)));
        assert_eq!(text(&[b"a\xffb"]).as_deref(), Some("a\u{fffd}b"));
        let foreign = text(&[&[0xff; 2_000]]);
        assert!(foreign.is_none_or(|text| text.len() <= 1_024));
    }
}
