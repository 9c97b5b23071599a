//! Signature checks of a post.
//!
//! Implemented from the documented schemes, independent of the signer under test.

use std::fmt;
use std::time::UNIX_EPOCH;

use base64::prelude::{BASE64_STANDARD, Engine};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::post::Post;

/// Accepted clock difference in seconds, as in the Standard Webhooks libraries.
const TOLERANCE: u64 = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `X-Webhook-Signature`: hexadecimal HMAC-SHA256 of the body.
    pub body_signature: Result<(), &'static str>,
    /// `webhook-id`, `webhook-timestamp` and `webhook-signature`: Standard Webhooks.
    pub standard_webhooks: Result<(), &'static str>,
}

impl Post {
    /// Checks both signatures with `secret`.
    pub fn verify(&self, secret: &str) -> Verdict {
        Verdict {
            body_signature: check_body_signature(self, secret),
            standard_webhooks: check_standard_webhooks(self, secret),
        }
    }
}

impl Verdict {
    pub fn is_valid(&self) -> bool {
        self.body_signature.is_ok() && self.standard_webhooks.is_ok()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.body_signature, self.standard_webhooks) {
            (Ok(()), Ok(())) => f.write_str("✓ signature"),
            (Err(fault), Ok(())) => write!(f, "✗ x-webhook-signature: {fault}"),
            (Ok(()), Err(fault)) => write!(f, "✗ webhook-signature: {fault}"),
            (Err(fault), Err(_)) => write!(f, "✗ signatures: {fault}"),
        }
    }
}

fn check_body_signature(post: &Post, secret: &str) -> Result<(), &'static str> {
    let given = post.header("x-webhook-signature").ok_or("missing")?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if given.len() != 64 || !given.bytes().all(is_hex) {
        return Err("not 64 lowercase hexadecimal digits");
    }
    let expected: String = hmac(secret.as_bytes(), &[&post.body])
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if given == expected {
        Ok(())
    } else {
        Err("wrong")
    }
}

fn check_standard_webhooks(post: &Post, secret: &str) -> Result<(), &'static str> {
    let id = post.id().ok_or("webhook-id is missing")?;
    let timestamp = post
        .header("webhook-timestamp")
        .ok_or("webhook-timestamp is missing")?;
    let given = post.header("webhook-signature").ok_or("missing")?;

    let seconds: u64 = timestamp
        .parse()
        .map_err(|_| "webhook-timestamp is not a number of seconds")?;
    let arrived = post.arrived_at.duration_since(UNIX_EPOCH);
    if arrived.map_or(0, |since| since.as_secs()).abs_diff(seconds) > TOLERANCE {
        return Err("webhook-timestamp is more than 5 minutes off");
    }
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => BASE64_STANDARD
            .decode(encoded)
            .map_err(|_| "the whsec_ secret is not Base64")?,
        None => secret.as_bytes().to_vec(),
    };
    let signed: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", &post.body];
    let expected = format!("v1,{}", BASE64_STANDARD.encode(hmac(&key, &signed)));
    if given.split(' ').any(|signature| signature == expected) {
        Ok(())
    } else {
        Err("wrong")
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use hyper::{HeaderMap, Method};

    use super::*;

    /// Example from the Standard Webhooks specification.
    fn specified() -> Post {
        let mut headers = HeaderMap::new();
        headers.insert(
            "webhook-id",
            "msg_p5jXN8AQM9LWM0D4loKWxJek".parse().unwrap(),
        );
        headers.insert("webhook-timestamp", "1614265330".parse().unwrap());
        headers.insert(
            "webhook-signature",
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
                .parse()
                .unwrap(),
        );
        Post {
            arrived: Instant::now(),
            arrived_at: UNIX_EPOCH + Duration::from_secs(1_614_265_330),
            method: Method::POST,
            path: "/".to_owned(),
            headers,
            body: Bytes::from_static(b"{\"test\": 2432232314}"),
        }
    }

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_example_of_the_specification_is_valid() {
        assert_eq!(specified().verify(SECRET).standard_webhooks, Ok(()));
    }

    #[test]
    fn a_changed_byte_is_detected() {
        let mut post = specified();
        post.body = Bytes::from_static(b"{\"test\": 2432232315}");
        assert_eq!(post.verify(SECRET).standard_webhooks, Err("wrong"));
    }

    #[test]
    fn an_old_timestamp_is_detected() {
        let mut post = specified();
        post.arrived_at += Duration::from_secs(TOLERANCE + 1);
        assert!(post.verify(SECRET).standard_webhooks.is_err());
    }

    #[test]
    fn the_body_signature_matches_rfc_4231() {
        let mut post = specified();
        post.body = Bytes::from_static(b"what do ya want for nothing?");
        let signature = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        post.headers
            .insert("x-webhook-signature", signature.parse().unwrap());
        assert_eq!(post.verify("Jefe").body_signature, Ok(()));
        assert_eq!(post.verify("jefe").body_signature, Err("wrong"));
    }
}
