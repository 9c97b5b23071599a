//! Texts as words of a POSIX shell (pure).
//!
//! Users paste commands into a terminal, and anyone may have written their content. So a
//! command contains no control characters except line ends between quotes: others could end
//! the paste, or act as keys of the shell.

use std::fmt::Write as _;

/// Returns true for text that can be pasted unchanged.
#[must_use]
pub fn is_plain(bytes: &[u8]) -> bool {
    str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && c != '\n'))
}

/// Quotes bytes as one word for a shell. A line end at the end is kept only in plain text.
#[must_use]
pub fn quoted(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) if is_plain(bytes) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => format!("\"$({})\"", printed(bytes)),
    }
}

/// Returns a shell command that prints these bytes.
#[must_use]
pub fn printed(bytes: &[u8]) -> String {
    let mut command = String::from("printf '");
    for (at, byte) in bytes.iter().enumerate() {
        let _infallible = match byte {
            b'%' => write!(command, "%%"),
            // A leading dash would start an option.
            b'-' if at == 0 => write!(command, "\\055"),
            b'\\' | b'\'' => write!(command, "\\{byte:03o}"),
            b' '..=b'~' => write!(command, "{}", char::from(*byte)),
            _ => write!(command, "\\{byte:03o}"),
        };
    }
    command.push('\'');
    command
}
