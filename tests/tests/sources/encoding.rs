//! Bodies in the forms in which gateways post them.

use reqwest::Url;
use serde_json::Value;

/// Members that wuzapi posts as fields of its form, next to `jsonData`.
const FIELDS: [&str; 3] = ["instanceName", "token", "userID"];
const BOUNDARY: &str = "8f1c2a7e5b";
/// File of a multipart body. It looks like a field and like a delimiter, and is not UTF-8.
pub(crate) const FILE: &[u8] = b"\xff\xd8\0\r\n\r\n{\"token\":1}\r\n--8f1c2a7e5\r\n\xff";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Encoding {
    Json,
    /// JSON as Meta prints it: `/` and all but ASCII is escaped.
    EscapedJson,
    /// Form of wuzapi.
    Form,
    /// Form of wuzapi with a file.
    Multipart,
}

impl Encoding {
    pub(crate) fn of_kind(kind: &str) -> Self {
        if kind == "meta" {
            Self::EscapedJson
        } else {
            Self::Json
        }
    }

    pub(crate) fn content_type(self) -> String {
        match self {
            Self::Json | Self::EscapedJson => "application/json".to_owned(),
            Self::Form => "application/x-www-form-urlencoded".to_owned(),
            Self::Multipart => format!("multipart/form-data; boundary={BOUNDARY}"),
        }
    }

    pub(crate) fn encode(self, json: &str) -> Vec<u8> {
        match self {
            Self::Json => json.as_bytes().to_vec(),
            Self::EscapedJson => escaped(json).into_bytes(),
            Self::Form => {
                let mut url = Url::parse("http://localhost").unwrap();
                url.query_pairs_mut().extend_pairs(fields(json));
                url.query().unwrap().as_bytes().to_vec()
            }
            Self::Multipart => multipart(&fields(json)),
        }
    }
}

/// Splits a body into the fields of a form.
pub(crate) fn fields(json: &str) -> Vec<(String, String)> {
    let mut event: Value = serde_json::from_str(json).unwrap();
    let mut fields = Vec::new();
    for name in FIELDS {
        let members = event.as_object_mut().unwrap();
        if let Some(Value::String(value)) = members.remove(name) {
            fields.push((name.to_owned(), value));
        }
    }
    fields.insert(
        fields.len().min(1),
        ("jsonData".to_owned(), event.to_string()),
    );
    fields
}

fn multipart(fields: &[(String, String)]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |name: &str, more: &str, value: &[u8]| {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    };
    for (name, value) in fields {
        part(name, "", value.as_bytes());
    }
    let more = "; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg";
    part("file", more, FILE);
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

fn escaped(json: &str) -> String {
    let mut escaped = String::new();
    for character in json.chars() {
        match character {
            '/' => escaped.push_str("\\/"),
            ascii if ascii.is_ascii() => escaped.push(ascii),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped
}
