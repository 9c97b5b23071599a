//! Body of an event as it was sent, where the payload in the log cannot give it back.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    body::{BodyFault, EventBody},
    canonical::canonical_body,
    origin::{Origin, ReceivedForm},
    stored_json::stored_json,
    time::UnixMillis,
};

/// Body that endpoints receive, in relation to the body of a result.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Original {
    /// The body of the result.
    #[default]
    Same,
    /// Body as the gateway sent it, for endpoints of the form
    /// [`BodyForm::Exact`](crate::BodyForm::Exact). The body of the result is the canonical one.
    Exact(EventBody),
    /// Unknown: the body of the result is made of what the log stored.
    Lost(Omitted),
}

/// Part of a log record next to the payload: what a redelivery needs to send the same body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sent {
    /// Headers of a body in the gateway's own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<ReceivedForm>,
    /// Reason why the log has no body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<Omitted>,
    /// Body; `None` if it was omitted, or if it is the payload as canonical JSON. No part of the
    /// JSON form.
    #[serde(skip)]
    pub body: Option<Bytes>,
}

stored_json!(Sent);

/// Reason why the log does not store a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Omitted {
    /// Values of this event are redacted.
    Redacted,
    /// Payload and body are larger than a record can be.
    TooLarge,
    /// The log rejected the record with its payload.
    Refused,
    /// An earlier version wrote the record.
    NotKept,
}

impl Omitted {
    /// Returns the name that the log stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redacted => "redacted",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::NotKept => "not_kept",
        }
    }

    /// Parses a name that the log stores.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let all = [Self::Redacted, Self::TooLarge, Self::Refused, Self::NotKept];
        all.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl Sent {
    /// Creates the part of a record without a body.
    #[must_use]
    pub const fn without_body(received: Option<ReceivedForm>, omitted: Omitted) -> Self {
        Self {
            received,
            omitted: Some(omitted),
            body: None,
        }
    }

    /// Returns the body that was sent: the stored one, or the payload of the record.
    ///
    /// # Errors
    /// The reason why the log does not have it.
    pub fn body_of(&self, payload: Option<&str>) -> Result<Bytes, Omitted> {
        match (&self.body, self.omitted) {
            (Some(body), _) => Ok(body.clone()),
            (None, Some(reason)) => Err(reason),
            (None, None) if self.received.is_some() => payload
                .map(|payload| Bytes::copy_from_slice(payload.as_bytes()))
                .ok_or(Omitted::Refused),
            (None, None) => Err(Omitted::NotKept),
        }
    }
}

/// Returns the body of an event from the bytes that were sent, and these bytes if they are not
/// the canonical body.
///
/// # Errors
/// When the bytes are not an event.
pub fn sent_body(
    bytes: Bytes,
    origin: Option<&Origin>,
    accepted_at: UnixMillis,
) -> Result<(EventBody, Option<EventBody>), BodyFault> {
    match origin {
        Some(origin) if origin.received.is_some() => Ok((EventBody::as_received(bytes), None)),
        Some(_) => Ok((EventBody::check(bytes)?, None)),
        None => {
            let body = canonical_body(&bytes, accepted_at)?;
            let is_exact = body.as_bytes() != bytes;
            Ok((body, is_exact.then(|| EventBody::as_received(bytes))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_form_never_changes() {
        let form = ReceivedForm {
            content_type: Some("application/json".to_owned()),
            headers: vec![("x-hub-signature-256".to_owned(), "sha256=00".to_owned())],
        };
        let sent = Sent::without_body(Some(form), Omitted::TooLarge);
        let json = sent.to_json();
        assert_eq!(
            json,
            r#"{"received":{"contentType":"application/json","headers":[["x-hub-signature-256","sha256=00"]]},"omitted":"too_large"}"#
        );
        assert_eq!(Sent::from_json(&json), Some(sent));
        assert_eq!(Sent::default().to_json(), "{}");
        assert_eq!(Sent::from_json("{}"), Some(Sent::default()));
        assert_eq!(Sent::from_json("["), None);
        for reason in ["redacted", "too_large", "refused", "not_kept"] {
            assert_eq!(Omitted::parse(reason).unwrap().as_str(), reason);
            let json = serde_json::to_string(&Omitted::parse(reason)).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
        }
    }
}
