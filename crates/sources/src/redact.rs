//! Redaction: values at given places of a body are replaced, all other bytes stay.

mod json;
mod multipart;
mod pointer;

use std::borrow::Cow;

use url::form_urlencoded;
use wahook_domain::json::Text;

pub use json::redact;
pub use multipart::redact_multipart;
pub use pointer::{InvalidPointer, Pointer};

/// Text in place of a redacted value.
const REDACTED: &str = "[redacted]";

/// Member of a form that holds the event as JSON.
const JSON_FIELD: &str = "jsonData";

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
}
