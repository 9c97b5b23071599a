//! Redaction: values at given places of a body are replaced, all other bytes stay.

mod json;
mod multipart;
mod parts;
mod pointer;

use std::borrow::Cow;

use url::form_urlencoded;
use wahook_domain::json::Text;

pub use json::redact;
pub use pointer::{InvalidPointer, Pointer};

use crate::{
    Request,
    received::{BOM, Encoding, encoding},
};

/// Text in place of a redacted value.
const REDACTED: &str = "[redacted]";

/// Member of a form that holds the event as JSON.
const JSON_FIELD: &str = "jsonData";

/// Redacts the body of a request, however the gateway encodes it.
#[must_use]
pub fn redact_body<'a>(request: &Request<'a>, pointers: &[Pointer]) -> Cow<'a, [u8]> {
    let media_type = request.content_type.unwrap_or_default();
    let body = request.body.strip_prefix(BOM).unwrap_or(request.body);
    match encoding(media_type, body) {
        Encoding::Form => redact_form(request.body, pointers),
        Encoding::Multipart => multipart::redact(media_type, request.body, pointers),
        Encoding::Json | Encoding::Other => redact(request.body, pointers),
    }
}

/// Redacts a urlencoded form: the JSON text of its field `jsonData`, and other fields that a
/// pointer of one step names. Only redacted fields are encoded again.
#[must_use]
pub fn redact_form<'a>(form: &'a [u8], pointers: &[Pointer]) -> Cow<'a, [u8]> {
    let mut redacted = Vec::new();
    let mut kept = 0;
    let mut at = 0;
    for field in form.split(|byte| *byte == b'&') {
        let end = at + field.len();
        if let Some((name, value)) = redact_field(field, pointers) {
            let start = at + name;
            redacted.extend_from_slice(form.get(kept..start).unwrap_or_default());
            for piece in form_urlencoded::byte_serialize(&value) {
                redacted.extend_from_slice(piece.as_bytes());
            }
            kept = end;
        }
        at = end + 1;
    }
    if kept == 0 {
        return Cow::Borrowed(form);
    }
    redacted.extend_from_slice(form.get(kept..).unwrap_or_default());
    Cow::Owned(redacted)
}

/// Returns the length of the field's name with its `=`, and the redacted value; `None` if the
/// field stays.
fn redact_field(field: &[u8], pointers: &[Pointer]) -> Option<(usize, Vec<u8>)> {
    let name = 1 + field.iter().position(|byte| *byte == b'=')?;
    let (key, value) = form_urlencoded::parse(field).next()?;
    Some((name, redact_value(&key, value.as_bytes(), pointers)?))
}

/// Returns the redacted value of a form's field; `None` if it stays.
fn redact_value(name: &str, value: &[u8], pointers: &[Pointer]) -> Option<Vec<u8>> {
    if name == JSON_FIELD {
        return match redact(value, pointers) {
            Cow::Owned(value) => Some(value),
            Cow::Borrowed(_) => None,
        };
    }
    let name = Text::new(name);
    let is_named = |pointer: &Pointer| match pointer.steps() {
        [step] => step.is_key(&name),
        _ => false,
    };
    let is_secret = pointers.iter().any(is_named);
    is_secret.then(|| REDACTED.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(texts: &[&str]) -> Vec<Pointer> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn form_is_redacted_within_its_field() {
        let form = "userID=1b2c&jsonData=%7B%22token%22%3A%22s3+cret%22%2C%22%C3%A1%22%3A1%7D&token=s3cret&x=a+b";
        let redact = |texts: &[&str]| {
            let redacted = redact_form(form.as_bytes(), &pointers(texts));
            String::from_utf8(redacted.into_owned()).unwrap()
        };
        assert_eq!(
            redact(&["/token"]),
            "userID=1b2c&jsonData=%7B%22token%22%3A%22%5Bredacted%5D%22%2C%22%C3%A1%22%3A1%7D\
             &token=%5Bredacted%5D&x=a+b"
        );
        assert_eq!(redact(&["/userID/a", "/á/b"]), form);
        for same in ["", "&", "jsonData", "jsonData=", "=&&a"] {
            let redacted = redact_form(same.as_bytes(), &pointers(&["/token", "/jsonData"]));
            assert!(matches!(redacted, Cow::Borrowed(_)), "{same}");
        }
    }

    #[test]
    fn body_is_redacted_as_its_encoding_says() {
        let multipart = "--X\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nT\r\n--X--";
        for (content_type, body, redacted) in [
            (None, "{\"token\":\"T\"}", "{\"token\":\"[redacted]\"}"),
            (
                Some("application/x-www-form-urlencoded"),
                "token=T",
                "token=%5Bredacted%5D",
            ),
            (
                Some("application/x-www-form-urlencoded"),
                "\u{feff}{\"token\":\"T\"}",
                "\u{feff}{\"token\":\"[redacted]\"}",
            ),
            (
                Some("multipart/form-data; boundary=X"),
                multipart,
                &multipart.replace('T', "[redacted]"),
            ),
        ] {
            let request = Request {
                content_type,
                body: body.as_bytes(),
                ..Request::default()
            };
            let found = redact_body(&request, &pointers(&["/token"]));
            assert_eq!(String::from_utf8_lossy(&found), redacted);
        }
    }
}
