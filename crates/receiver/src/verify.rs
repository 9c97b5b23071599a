//! Is a request signed as its receiver expects, and if not, why not?
//!
//! Written against the documented schemes and not with the signer of the
//! programs, so that the two can't be wrong together.

mod body_signature;
mod fault;
mod keys;
mod standard_webhooks;
mod suspicion;

use axum::http::HeaderMap;
use wahook_domain::UnixMillis;

pub use fault::{Fault, Suspicion};
pub use keys::Keys;

/// What is known of one header of signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Check {
    /// It is what the secret makes of this request.
    Valid,
    /// There is one, but no secret to check it with.
    NoSecret,
    /// It would be refused.
    Invalid(Fault),
}

/// Both ways in which a request proves where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `X-Webhook-Signature`: hexadecimal HMAC-SHA256 of the body.
    pub body_signature: Check,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`: Standard
    /// Webhooks.
    pub standard_webhooks: Check,
}

impl Verdict {
    /// Whether both signatures are valid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.body_signature == Check::Valid && self.standard_webhooks == Check::Valid
    }
}

/// What earlier requests tell about one that does not verify.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Another attempt of the same id verified, with another body.
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
    evidence: Evidence,
) -> Verdict {
    let plain = body_signature::check(headers, body, keys);
    let standard = standard_webhooks::check(headers, body, keys, arrived);
    let one_proves_the_body = [&plain, &standard]
        .iter()
        .any(|checked| matches!(checked, Ok(_) | Err(Fault::TimestampOff { .. })));
    let explain = |fault| match fault {
        Fault::Wrong(Suspicion::Nothing) if one_proves_the_body && keys.is_some() => {
            Fault::Wrong(Suspicion::HeadersAltered)
        }
        Fault::Wrong(Suspicion::Nothing) => Fault::Wrong(suspicion::by_evidence(body, evidence)),
        fault => fault,
    };
    let judged = |checked: Result<Check, Fault>| {
        checked.unwrap_or_else(|fault| Check::Invalid(explain(fault)))
    };
    Verdict {
        body_signature: judged(plain),
        standard_webhooks: judged(standard),
    }
}

/// The one value of a header. What is no text in it stays apart from all text.
fn only<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Err(Fault::Missing(name)),
        (Some(_), Some(_)) => Err(Fault::Repeated(name)),
        (Some(value), None) => value.to_str().map_err(|_| Fault::NotText(name)),
    }
}

#[cfg(test)]
mod tests;
