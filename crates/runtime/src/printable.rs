//! How is text of unknown origin shown on a terminal?

/// The text with its control characters escaped: an event or an answer may hold
/// anything, and a terminal obeys control characters.
#[must_use]
pub fn printable(text: &str) -> String {
    let escaped = text.chars().map(|c| {
        if c.is_control() {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_holds_never_reaches_the_terminal_as_a_command() {
        assert_eq!(printable("a\u{1b}[2Jb\nc é"), "a\\u{1b}[2Jb\\nc é");
    }
}
