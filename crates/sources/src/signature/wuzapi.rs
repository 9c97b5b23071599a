//! Signed bytes of wuzapi: the body; of a multipart body its text fields as JSON, as Go prints
//! them. The file of a multipart body is not signed.

use std::{borrow::Cow, collections::BTreeMap};

use crate::received::{Encoding, encoding, multipart};

/// Name of the only file that the gateway posts.
const FILE: &str = "file";

/// Returns what the gateway signs; `None` if it cannot have sent the body: one that is damaged,
/// that has two texts of one name, of which it would sign one, or that has other files, which
/// would replace signed values of the same name.
pub(super) fn signed_bytes<'b>(media_type: &str, body: &'b [u8]) -> Option<Cow<'b, [u8]>> {
    if !matches!(encoding(media_type, body), Encoding::Multipart) {
        return Some(Cow::Borrowed(body));
    }
    let form = multipart::read(media_type, body).ok()?;
    let fields: BTreeMap<_, _> = form.texts().collect();
    let has_repeated_texts = fields.len() < form.texts().count();
    let has_other_files = form.file_names().count() > 1 || form.file_names().any(|n| n != FILE);
    if has_repeated_texts || has_other_files {
        return None;
    }
    let mut json = String::from("{");
    for (name, value) in fields {
        if json.len() > 1 {
            json.push(',');
        }
        push_quoted(name, &mut json);
        json.push(':');
        push_quoted(value, &mut json);
    }
    json.push('}');
    Some(Cow::Owned(json.into_bytes()))
}

/// Appends a string as Go's `encoding/json` prints it: with HTML characters escaped.
fn push_quoted(text: &str, json: &mut String) {
    json.push('"');
    for character in text.chars() {
        match character {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                json.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => json.push(other),
        }
    }
    json.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_printed_in_the_order_of_their_names() {
        let media_type = "multipart/form-data; boundary=X";
        let body = "--X\r\nContent-Disposition: form-data; name=\"userID\"\r\n\r\n1b2c\r\n\
            --X\r\nContent-Disposition: form-data; name=\"jsonData\"\r\n\r\n\
            {\"a\":\"<á>&\u{2028}\\n\"}\r\n\
            --X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n/tmp/a\tb\u{1}.jpg\r\n\
            --X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n1\r\n\
            --X--\r\n";
        let expected = r#"{"file":"/tmp/a\tb\u0001.jpg","jsonData":"{\"a\":\"\u003cá\u003e\u0026\u2028\\n\"}","userID":"1b2c"}"#;
        let signed = signed_bytes(media_type, body.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(signed.into_owned()).unwrap(), expected);
        let form = b"jsonData=%7B%7D&userID=1b2c";
        let media_type = "application/x-www-form-urlencoded";
        assert_eq!(signed_bytes(media_type, form).unwrap(), form.as_slice());
    }

    #[test]
    fn body_that_the_gateway_cannot_send_is_not_signed() {
        let media_type = "multipart/form-data; boundary=X";
        let part = |parameters: &str| {
            format!("--X\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{{}}\r\n")
        };
        let event = part("name=\"jsonData\"");
        let is_signed = |others: &[&str]| {
            let others: String = others.iter().map(|other| part(other)).collect();
            let body = [event.as_str(), &others, "--X--\r\n"].concat();
            signed_bytes(media_type, body.as_bytes()).is_some()
        };
        let file = "name=\"file\"; filename=\"a.jpg\"";
        assert!(is_signed(&["name=\"userID\""]));
        assert!(is_signed(&["name=\"file\"", file]));
        assert!(!is_signed(&["name=\"jsonData\""]));
        assert!(!is_signed(&[file, file]));
        assert!(!is_signed(&["name=\"event\"; filename=\"a.jpg\""]));
        assert_eq!(signed_bytes(media_type, b"--X\r\n"), None);
    }
}
