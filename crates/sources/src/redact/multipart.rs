//! Redaction of multipart/form-data.

use std::borrow::Cow;

use super::{Pointer, parts::text_fields, redact_value};

/// Redacts the text fields of a multipart body as [`redact_form`](super::redact_form) does.
/// Files stay.
pub(super) fn redact<'a>(media_type: &str, body: &'a [u8], pointers: &[Pointer]) -> Cow<'a, [u8]> {
    let mut redacted = Vec::new();
    let mut kept = 0;
    for field in text_fields(media_type, body) {
        let value = body.get(field.place.clone()).unwrap_or_default();
        if let Some(value) = redact_value(field.name, value, pointers) {
            redacted.extend_from_slice(body.get(kept..field.place.start).unwrap_or_default());
            redacted.extend_from_slice(&value);
            kept = field.place.end;
        }
    }
    if kept == 0 {
        return Cow::Borrowed(body);
    }
    redacted.extend_from_slice(body.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, value: &str) -> String {
        format!("--X1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    }

    fn body(json: &str, token: &str) -> String {
        let file = "--X1\r\nContent-Disposition: form-data; name=\"token\"; filename=\"a.jpg\"\r\n\
             Content-Type: image/jpeg\r\n\r\n\u{1}{\"token\":1}\r\n";
        let fields = [
            field("jsonData", json),
            field("token", token),
            field("userID", "1b2c"),
        ];
        [&fields.concat(), file, "--X1--\r\n"].concat()
    }

    fn redacted(body: &str) -> String {
        let pointers = ["/token".parse().unwrap(), "/event/key".parse().unwrap()];
        let media_type = "multipart/form-data; boundary=\"X1\"";
        let redacted = redact(media_type, body.as_bytes(), &pointers);
        String::from_utf8(redacted.into_owned()).unwrap()
    }

    #[test]
    fn text_fields_are_redacted_and_files_stay() {
        let sent = body(r#"{"token":"s3 --X1","event":{"key":1,"a":2}}"#, "s3cret");
        let expected = body(
            r#"{"token":"[redacted]","event":{"key":"[redacted]","a":2}}"#,
            "[redacted]",
        );
        assert_eq!(redacted(&sent), expected);
        assert_eq!(redacted(&expected), expected);
        assert_eq!(redacted("{\"token\":1}"), "{\"token\":1}");
    }
}
