//! JSON strings in canonical form.

use std::borrow::Cow;

use super::string;

/// String in its canonical JSON form, without quotes.
///
/// Each string has one canonical form, so equal forms mean equal strings, even
/// where a lone surrogate makes the string invalid Unicode.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// Escapes a string.
    #[must_use]
    pub fn new(plain: &'a str) -> Self {
        Self(string::escape(plain))
    }

    /// Escapes a string, and borrows nothing from it.
    #[must_use]
    pub fn owned(plain: &str) -> Text<'static> {
        Text(Cow::Owned(string::escape(plain).into_owned()))
    }

    pub(super) fn from_form(form: Cow<'a, str>) -> Self {
        Self(form)
    }

    /// Returns the canonical JSON form, without quotes.
    #[must_use]
    pub fn form(&self) -> &str {
        &self.0
    }

    /// Returns the unescaped string, with lone surrogates replaced by U+FFFD, and
    /// true if there were any.
    #[must_use]
    pub fn to_str(&self) -> (Cow<'_, str>, bool) {
        string::unescape(&self.0)
    }

    /// Returns the string as an array index, if it is one: `0` to `4294967294`,
    /// without sign or leading zeros.
    pub(super) fn array_index(&self) -> Option<u32> {
        const LONGEST: usize = "4294967294".len();
        let digits = self.0.as_bytes();
        let plain = match digits {
            [b'0'] => true,
            [b'1'..=b'9', rest @ ..] => {
                digits.len() <= LONGEST && rest.iter().all(u8::is_ascii_digit)
            }
            _ => false,
        };
        if !plain {
            return None;
        }
        self.0.parse().ok().filter(|index| *index < u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(key: &str) -> Option<u32> {
        Text::new(key).array_index()
    }

    #[test]
    fn only_canonical_numbers_below_the_longest_array_are_indices() {
        assert_eq!(index("0"), Some(0));
        assert_eq!(index("10"), Some(10));
        assert_eq!(index("4294967294"), Some(4_294_967_294));
        for other in [
            "",
            "00",
            "01",
            "-1",
            "+1",
            "1.0",
            " 1",
            "4294967295",
            "99999999999",
            "a",
        ] {
            assert_eq!(index(other), None, "{other:?}");
        }
    }

    #[test]
    fn escaped_string_is_unescaped_without_loss() {
        for plain in ["", "plain", "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{7f}\u{2028}👍"] {
            let text = Text::new(plain);
            assert_eq!(text.to_str(), (Cow::Borrowed(plain), false));
        }
        assert_eq!(Text::new("\"\\/\u{8}\u{1}").form(), r#"\"\\/\b\u0001"#);
    }
}
