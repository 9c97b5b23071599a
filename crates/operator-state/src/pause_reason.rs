//! Reason of a pause.

use std::{fmt, str::FromStr, sync::Arc};

/// Maximum number of characters.
const MAX_CHARS: usize = 500;

/// Reason of a pause: a line of 1 to 500 characters, without control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseReason(Arc<str>);

/// Text that is no reason of a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a reason must be one line of 1 to 500 characters, without control characters")]
pub struct InvalidReason;

impl PauseReason {
    /// Parses a reason.
    ///
    /// # Errors
    /// If the text is empty, too long, or contains control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidReason> {
        let is_valid = !text.trim().is_empty()
            && text.chars().count() <= MAX_CHARS
            && !text.chars().any(char::is_control);
        is_valid.then(|| Self(text.into())).ok_or(InvalidReason)
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PauseReason {
    type Err = InvalidReason;

    fn from_str(text: &str) -> Result<Self, InvalidReason> {
        Self::parse(text)
    }
}

impl fmt::Display for PauseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_one_line_of_limited_length() {
        for valid in [
            "new version",
            "Wartung bis 14 Uhr – Müller",
            &"ü".repeat(500),
        ] {
            assert_eq!(PauseReason::parse(valid).unwrap().as_str(), valid);
        }
        for invalid in ["", "  ", "a\nb", "a\u{1b}[2J", &"x".repeat(501)] {
            assert_eq!(
                PauseReason::parse(invalid),
                Err(InvalidReason),
                "{invalid:?}"
            );
        }
    }
}
