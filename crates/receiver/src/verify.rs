//! Verification of the signatures of a request, with the cause of a failure.
//!
//! Written from the documented schemes, without the signer of the other programs, so that
//! both can't have the same fault.

mod body_signature;
mod cause;
mod fault;
mod keys;
mod standard_webhooks;

use axum::http::HeaderMap;
use wahook_domain::UnixMillis;

pub use fault::{Cause, Fault};
pub use keys::Keys;

/// Result of the check of one signature header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// The signature matches this request and the secret.
    Valid,
    /// The header exists, but there is no secret to check it with.
    NoSecret,
    /// Receivers would reject the signature.
    Invalid(Fault),
}

/// Results of the checks of both signature headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `X-Webhook-Signature`: hexadecimal HMAC-SHA256 of the body.
    pub body_signature: Check,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`: Standard
    /// Webhooks.
    pub standard_webhooks: Check,
}

impl Verdict {
    /// Returns true if both signatures are valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.body_signature == Check::Valid && self.standard_webhooks == Check::Valid
    }
}

/// Facts from earlier requests about one that does not verify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EarlierRequests {
    /// Another attempt with the same id verified, with another body.
    pub same_id_had_another_body: bool,
    /// A request has verified with this secret.
    pub secret_has_verified: bool,
}

/// Checks both signatures of a request that arrived at `arrived`.
#[must_use]
pub fn verify(
    headers: &HeaderMap,
    body: &[u8],
    keys: Option<&Keys>,
    arrived: UnixMillis,
    earlier: EarlierRequests,
) -> Verdict {
    let plain = body_signature::check(headers, body, keys);
    let standard = standard_webhooks::check(headers, body, keys, arrived);
    let one_proves_the_body = [&plain, &standard]
        .iter()
        .any(|checked| matches!(checked, Ok(_) | Err(Fault::TimestampOff { .. })));
    let explain = |fault| match fault {
        Fault::Wrong(Cause::Unknown) if one_proves_the_body && keys.is_some() => {
            Fault::Wrong(Cause::HeadersAltered)
        }
        Fault::Wrong(Cause::Unknown) => Fault::Wrong(cause::by_earlier_requests(body, earlier)),
        fault => fault,
    };
    let result = |checked: Result<Check, Fault>| {
        checked.unwrap_or_else(|fault| Check::Invalid(explain(fault)))
    };
    Verdict {
        body_signature: result(plain),
        standard_webhooks: result(standard),
    }
}

/// Returns the only value of a header, as text.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Fault::Missing(name)),
        (Some(_), Some(_)) => Err(Fault::Repeated(name)),
        (Some(value), None) => value.to_str().map_err(|_| Fault::NotText(name)),
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
