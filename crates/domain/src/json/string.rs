//! String escapes: any form is read, only the canonical form is kept and written.

use std::borrow::Cow;

use super::fault::{JsonFault, JsonFaultKind};

/// Reads a string whose opening quote is just before `start`. Returns its
/// canonical form, borrowed if the text already has it, and the offset after
/// the closing quote.
pub(super) fn read(text: &str, start: usize) -> Result<(Cow<'_, str>, usize), JsonFault> {
    let bytes = text.as_bytes();
    let mut at = start;
    // Canonical form so far, without the text from `kept` on.
    let mut form: Option<String> = None;
    let mut kept = start;
    loop {
        at += plain_length(bytes.get(at..).unwrap_or_default());
        match bytes.get(at) {
            Some(b'"') => break,
            Some(b'\\') => {
                let (escaped, end) = decode(bytes, at)?;
                if !escaped.is_written_canonically(slice(text, at, end)) {
                    let form = form.get_or_insert_default();
                    form.push_str(slice(text, kept, at));
                    escaped.push_to(form);
                    kept = end;
                }
                at = end;
            }
            Some(_) => {
                return Err(JsonFault {
                    offset: at,
                    kind: JsonFaultKind::ControlCharacter,
                });
            }
            None => return Err(ends_before(bytes, "'\"'")),
        }
    }
    let rest = slice(text, kept, at);
    let form = match form {
        Some(form) => Cow::Owned(form + rest),
        None => Cow::Borrowed(rest),
    };
    Ok((form, at + 1))
}

/// Skips a string whose opening quote is just before `start`. Returns the offset after the
/// closing quote, or the end of the text, and the number of escapes.
pub fn skip_string(text: &[u8], start: usize) -> (usize, usize) {
    let (mut at, mut escapes) = (start, 0);
    loop {
        at += plain_length(text.get(at..).unwrap_or_default());
        match text.get(at) {
            Some(b'"') => return (at + 1, escapes),
            Some(b'\\') => {
                escapes += 1;
                at += 2;
            }
            Some(_) => at += 1,
            None => return (text.len(), escapes),
        }
    }
}

/// Returns the canonical form of an unescaped string.
pub(super) fn escape(plain: &str) -> Cow<'_, str> {
    if plain_length(plain.as_bytes()) == plain.len() {
        return Cow::Borrowed(plain);
    }
    let mut form = String::with_capacity(plain.len() + 8);
    for character in plain.chars() {
        Escaped::Character(character).push_to(&mut form);
    }
    Cow::Owned(form)
}

/// Returns the unescaped string, with lone surrogates replaced by U+FFFD, and
/// true if there were any.
pub(super) fn unescape(form: &str) -> (Cow<'_, str>, bool) {
    let bytes = form.as_bytes();
    if plain_length(bytes) == bytes.len() {
        return (Cow::Borrowed(form), false);
    }
    let mut plain = String::with_capacity(form.len());
    let mut held_surrogates = false;
    let mut at = 0;
    while let Some(run) = slice(form, at, form.len()).find('\\') {
        plain.push_str(slice(form, at, at + run));
        // A canonical form has no invalid escape.
        let Ok((escaped, end)) = decode(bytes, at + run) else {
            break;
        };
        match escaped {
            Escaped::Character(character) => plain.push(character),
            Escaped::LoneSurrogate(_) => {
                held_surrogates = true;
                plain.push(char::REPLACEMENT_CHARACTER);
            }
        }
        at = end;
    }
    if at == 0 {
        return (Cow::Borrowed(form), false);
    }
    plain.push_str(slice(form, at, form.len()));
    (Cow::Owned(plain), held_surrogates)
}

/// Bytes that are searched by words: most strings end within them.
const SHORT: usize = 32;

/// Returns the number of bytes before the first quote, backslash or control
/// character.
fn plain_length(bytes: &[u8]) -> usize {
    let Some((short, long)) = bytes.split_at_checked(SHORT) else {
        return short_plain_length(bytes);
    };
    let length = short_plain_length(short);
    if length < SHORT {
        return length;
    }
    let (blocks, _) = long.as_chunks::<64>();
    let plain = blocks.iter().take_while(|block| is_plain(block)).count();
    let searched = SHORT + 64 * plain;
    searched + short_plain_length(bytes.get(searched..).unwrap_or_default())
}

/// Returns true if no byte is a quote, a backslash or a control character. Without branches, so
/// that compilers use vector instructions.
fn is_plain(block: &[u8; 64]) -> bool {
    let special = block.iter().fold(0, |found, byte| {
        found | u8::from(*byte < b' ') | u8::from(*byte == b'"') | u8::from(*byte == b'\\')
    });
    special == 0
}

/// Returns the same as [`plain_length`], by words of eight bytes.
fn short_plain_length(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (before, word) in words.iter().enumerate() {
        let special = first_special(*word);
        if special < 8 {
            return 8 * before + special;
        }
    }
    let special = |byte: &u8| *byte < b' ' || matches!(byte, b'"' | b'\\');
    8 * words.len() + rest.iter().position(special).unwrap_or(rest.len())
}

/// Returns the place of the first quote, backslash or control character among eight bytes; 8 if
/// there is none.
///
/// Each term sets the highest bit of every byte that matches. A match can also
/// set the bit of later bytes, but not of earlier ones.
const fn first_special(word: [u8; 8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    let word = u64::from_le_bytes(word);
    let control = word.wrapping_sub(ONES * 0x20);
    let quote = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let found = (control | quote | backslash) & !word & (ONES * 0x80);
    (found.trailing_zeros() / 8) as usize
}

/// Decoded value of an escape.
#[derive(Clone, Copy)]
enum Escaped {
    Character(char),
    LoneSurrogate(u16),
}

impl Escaped {
    fn is_written_canonically(self, written: &str) -> bool {
        match self {
            Self::Character(character) => canonical_escape(character) == Some(written),
            Self::LoneSurrogate(_) => !written.bytes().any(|byte| byte.is_ascii_uppercase()),
        }
    }

    fn push_to(self, form: &mut String) {
        match self {
            Self::Character(character) => match canonical_escape(character) {
                Some(escape) => form.push_str(escape),
                None => form.push(character),
            },
            Self::LoneSurrogate(unit) => form.push_str(&format!("\\u{unit:04x}")),
        }
    }
}

/// Decodes the escape whose backslash is at `at` and returns the offset after it.
fn decode(bytes: &[u8], at: usize) -> Result<(Escaped, usize), JsonFault> {
    let character = match bytes.get(at + 1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return decode_unit(bytes, at),
        Some(_) => {
            return Err(JsonFault {
                offset: at,
                kind: JsonFaultKind::Escape,
            });
        }
        None => return Err(ends_before(bytes, "an escape")),
    };
    Ok((Escaped::Character(character), at + 2))
}

/// Decodes `\uXXXX`, or a surrogate pair of them.
fn decode_unit(bytes: &[u8], at: usize) -> Result<(Escaped, usize), JsonFault> {
    const DIGITS: &str = "four hexadecimal digits";
    let digits = at + 2;
    let Some(unit) = hex(bytes, digits) else {
        return Err(match bytes.get(digits..digits + 4) {
            Some(_) => JsonFault {
                offset: digits,
                kind: JsonFaultKind::Expected(DIGITS),
            },
            None => ends_before(bytes, DIGITS),
        });
    };
    let end = digits + 4;
    if bytes.get(end..end + 2) == Some(b"\\u")
        && let Some(second) = hex(bytes, end + 2)
        && let Some(Ok(character)) = char::decode_utf16([unit, second]).next()
        && character > '\u{ffff}'
    {
        return Ok((Escaped::Character(character), end + 6));
    }
    let escaped = match char::from_u32(unit.into()) {
        Some(character) => Escaped::Character(character),
        None => Escaped::LoneSurrogate(unit),
    };
    Ok((escaped, end))
}

fn hex(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 4)?.iter().try_fold(0, |unit, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

/// Returns the escape of a character that JSON does not allow unescaped.
fn canonical_escape(character: char) -> Option<&'static str> {
    #[rustfmt::skip]
    const CONTROLS: [&str; 32] = [
        "\\u0000", "\\u0001", "\\u0002", "\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007",
        "\\b",     "\\t",     "\\n",     "\\u000b", "\\f",     "\\r",     "\\u000e", "\\u000f",
        "\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014", "\\u0015", "\\u0016", "\\u0017",
        "\\u0018", "\\u0019", "\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e", "\\u001f",
    ];
    match character {
        '"' => Some("\\\""),
        '\\' => Some("\\\\"),
        other => CONTROLS
            .get(usize::try_from(u32::from(other)).ok()?)
            .copied(),
    }
}

fn ends_before(bytes: &[u8], what: &'static str) -> JsonFault {
    JsonFault {
        offset: bytes.len(),
        kind: JsonFaultKind::EndsBefore(what),
    }
}

/// Returns part of a text. Both ends are character boundaries: each is next to
/// a quote, a backslash or the end of an escape.
pub(super) fn slice(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(string: &str) -> Cow<'_, str> {
        let (form, end) = read(string, 1).unwrap();
        assert_eq!(end, string.len());
        form
    }

    #[test]
    fn a_canonical_string_is_borrowed() {
        for canonical in [
            r#""""#,
            r#""plain 👍""#,
            r#""\"\\\b\t\n\f\r\u0000\u001f""#,
            r#""\ud83d""#,
        ] {
            assert!(matches!(form(canonical), Cow::Borrowed(_)), "{canonical}");
        }
    }

    #[test]
    fn every_spelling_of_a_string_is_read_as_the_canonical_form() {
        for (written, canonical) in [
            (r#""a\/b""#, "a/b"),
            (r#""\u0061\u00e9\u2028""#, "aé\u{2028}"),
            (r#""\u0008\u000A\u0022\u005c\u001F""#, r#"\b\n\"\\\u001f"#),
            (r#""<\ud83d\uDC4D>""#, "<👍>"),
            (r#""\uD83D\ud83d\udc4d""#, r"\ud83d👍"),
            (r#""\uDC4D\uD83D""#, r"\udc4d\ud83d"),
        ] {
            assert_eq!(form(written), canonical);
        }
    }

    #[test]
    fn lone_surrogate_is_replaced_and_reported() {
        assert_eq!(unescape(r"a\ud83db"), (Cow::Borrowed("a\u{fffd}b"), true));
        assert_eq!(unescape(r"\n"), (Cow::Borrowed("\n"), false));
        assert_eq!(unescape("👍"), (Cow::Borrowed("👍"), false));
    }

    #[test]
    fn first_special_agrees_with_a_check_byte_by_byte() {
        let special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
        for (one, next) in (0..=u8::MAX).flat_map(|one| (0..=u8::MAX).map(move |next| (one, next)))
        {
            for around in [b' ', 0xff] {
                for place in 0..7 {
                    let mut word = [around; 8];
                    (word[place], word[place + 1]) = (one, next);
                    let expected = word.iter().position(special).unwrap_or(8);
                    assert_eq!(first_special(word), expected, "{word:?}");
                }
            }
        }
    }

    #[test]
    fn a_special_byte_is_found_at_every_distance() {
        for length in 0..300 {
            let text = "é".repeat(length / 2) + if length % 2 == 0 { "" } else { "x" };
            assert_eq!(plain_length(text.as_bytes()), length);
            for special in ['"', '\\', '\n', '\0', '\u{1f}'] {
                let longer = format!("{text}{special}{text}\"{}", "x".repeat(100));
                assert_eq!(plain_length(longer.as_bytes()), length, "{special:?}");
            }
        }
    }
}
