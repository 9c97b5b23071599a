//! Body of a request as one JSON text, however the gateway encodes it.

use std::borrow::Cow;

use wahook_domain::json::{JsonFault, Node, parse};

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

impl<'a> Received<'a> {
    /// Decodes the body. Whatever its media type says, a body that begins like a JSON object
    /// or array is JSON, because some gateways send a wrong type or none.
    ///
    /// # Errors
    /// When the body is neither JSON nor a form with a member `jsonData`.
    pub fn read(request: &Request<'a>) -> Result<Self, Refusal> {
        Ok(Self {
            json: Cow::Borrowed(request.body),
        })
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
