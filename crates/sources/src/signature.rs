//! Signatures of gateways over the bytes that they post.

mod jwt;
#[cfg(test)]
mod tests;
mod wuzapi;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use wahook_domain::UnixMillis;

use crate::Kind;

/// Result of the check of a request's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    Valid,
    /// No signature.
    Missing,
    /// Signature by another secret, of other bytes, of another form, or expired.
    Wrong,
}

/// Returns true if gateways of this kind can sign what they post.
#[must_use]
pub const fn can_sign(kind: Kind) -> bool {
    match kind {
        Kind::Wahook
        | Kind::Waha
        | Kind::Evolution
        | Kind::Gowa
        | Kind::Wuzapi
        | Kind::Meta
        | Kind::Generic => true,
        Kind::Wwebjs | Kind::Wppconnect | Kind::OpenWa => false,
    }
}

/// Checks the gateway's own signature of a body, in constant time. `header` returns the value
/// of a header by its name in lower case. The signature of a kind that cannot sign is missing.
pub fn verify<'h>(
    kind: Kind,
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    secret: &[u8],
    now: UnixMillis,
) -> Verification {
    let is_valid = match kind {
        Kind::Wahook => header("x-webhook-signature").map(|mac| is_sha256(mac, body, secret)),
        Kind::Waha => header("x-webhook-hmac").map(|mac| {
            let algorithm = header("x-webhook-hmac-algorithm").unwrap_or("sha512");
            algorithm.eq_ignore_ascii_case("sha512") && is_sha512(mac, body, secret)
        }),
        // Evolution does not sign the body, but a token that is valid for ten minutes.
        Kind::Evolution => header("authorization").map(|token| jwt::is_valid(token, secret, now)),
        Kind::Wuzapi => header("x-hmac-signature").map(|mac| {
            let media_type = header("content-type").unwrap_or_default();
            let signed = wuzapi::signed_bytes(media_type, body);
            signed.is_some_and(|signed| is_sha256(mac, &signed, secret))
        }),
        Kind::Gowa | Kind::Meta | Kind::Generic => header("x-hub-signature-256").map(|mac| {
            let mac = mac.strip_prefix("sha256=");
            mac.is_some_and(|mac| is_sha256(mac, body, secret))
        }),
        Kind::Wwebjs | Kind::Wppconnect | Kind::OpenWa => None,
    };
    match is_valid {
        Some(true) => Verification::Valid,
        Some(false) => Verification::Wrong,
        None => Verification::Missing,
    }
}

fn is_sha256(mac: &str, body: &[u8], secret: &[u8]) -> bool {
    bytes_of_hex(mac).is_some_and(|mac| is_mac::<Hmac<Sha256>>(&mac, body, secret))
}

fn is_sha512(mac: &str, body: &[u8], secret: &[u8]) -> bool {
    bytes_of_hex(mac).is_some_and(|mac| is_mac::<Hmac<Sha512>>(&mac, body, secret))
}

/// Compares in constant time. An empty secret is known to everyone and verifies nothing.
fn is_mac<M: Mac + KeyInit>(mac: &[u8], body: &[u8], secret: &[u8]) -> bool {
    let keyed = <M as KeyInit>::new_from_slice(secret);
    !secret.is_empty()
        && keyed.is_ok_and(|keyed| keyed.chain_update(body).verify_slice(mac).is_ok())
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.trim().as_bytes().as_chunks::<2>() else {
        return None;
    };
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}
