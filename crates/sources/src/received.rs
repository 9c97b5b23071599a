//! Body of a request as one JSON text, however the gateway encodes it.

mod fields;
pub(crate) mod multipart;

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use url::form_urlencoded;
use wahook_domain::json::{JsonFault, Node, parse};

use fields::Fields;

/// UTF-8 byte order mark.
pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Parts of a gateway's request, its authentication excluded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Request<'a> {
    /// Path after the source's name, without slashes at its ends.
    pub path: &'a str,
    /// Query, without the question mark and the token.
    pub query: &'a str,
    pub content_type: Option<&'a str>,
    pub body: &'a [u8],
}

/// Reason why a request is not an event of its gateway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the body is not JSON: {0}")]
    NotJson(#[from] JsonFault),
    /// JSON, form or multipart without what this gateway always sends.
    #[error("{0}")]
    NotAnEvent(String),
    /// Neither JSON nor a form.
    #[error("the media type {0} is not supported: send JSON, a form or multipart/form-data")]
    UnsupportedMediaType(String),
}

/// Decoded body: one JSON text.
#[derive(Debug, PartialEq)]
pub struct Received<'a> {
    json: Cow<'a, [u8]>,
}

/// Encoding of a body.
pub(crate) enum Encoding {
    Json,
    Form,
    Multipart,
    Other,
}

impl<'a> Received<'a> {
    /// Decodes the body. Whatever its media type says, a body that begins like a JSON object
    /// or array is JSON, because some gateways send a wrong type or none.
    ///
    /// Each field of a form becomes a member; a field whose value is a JSON object or array
    /// has that value. If `jsonData` is an object, its members come first, and the other
    /// fields follow. A file is described as `{name, type, bytes}`; its content is not in the
    /// JSON text.
    ///
    /// # Errors
    /// When the body is neither JSON nor a form. Whether the JSON text is valid is checked
    /// by [`Self::parse`].
    pub fn read(request: &Request<'a>) -> Result<Self, Refusal> {
        let body = request.body.strip_prefix(BOM).unwrap_or(request.body);
        let media_type = request.content_type.unwrap_or_default();
        let json = match encoding(media_type, body) {
            Encoding::Json => Cow::Borrowed(body),
            Encoding::Form => Cow::Owned(form(body)?.into_json()),
            Encoding::Multipart => Cow::Owned(multipart::read(media_type, body)?.into_json()),
            Encoding::Other => {
                return Err(Refusal::UnsupportedMediaType(media_type.to_owned()));
            }
        };
        Ok(Self { json })
    }

    /// Returns the JSON text.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }

    /// Parses the JSON text.
    ///
    /// # Errors
    /// When it is not JSON.
    pub fn parse(&self) -> Result<Node<'_>, Refusal> {
        Ok(parse(&self.json)?)
    }
}

pub(crate) fn encoding(media_type: &str, body: &[u8]) -> Encoding {
    if matches!(body.trim_ascii_start().first(), Some(b'{' | b'[')) {
        return Encoding::Json;
    }
    let name = media_type.split(';').next().unwrap_or_default();
    match name.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => Encoding::Form,
        "multipart/form-data" => Encoding::Multipart,
        "" | "application/json" | "text/json" | "text/plain" => Encoding::Json,
        other if other.ends_with("+json") => Encoding::Json,
        _ => Encoding::Other,
    }
}

fn form(body: &[u8]) -> Result<Fields, Refusal> {
    let mut fields = Fields::default();
    for (name, value) in form_urlencoded::parse(body) {
        fields.add(name.into_owned(), value.into_owned());
    }
    if fields.is_empty() {
        let reason = "the form has no fields: send the event as JSON or in `jsonData`";
        return Err(Refusal::NotAnEvent(reason.to_owned()));
    }
    Ok(fields)
}
