//! `X-Webhook-Signature`: 64 lowercase hexadecimal digits of the HMAC-SHA256
//! of the body, keyed by the secret's text.

use axum::http::HeaderMap;

use super::cause::{self, Trial};
use super::{Cause, Check, Fault, Keys, keys::hmac, only};

pub(super) const HEADER: &str = "x-webhook-signature";

pub(super) fn check(headers: &HeaderMap, body: &[u8], keys: Option<&Keys>) -> Result<Check, Fault> {
    let given = digest(only(headers, HEADER)?)?;
    let Some(keys) = keys else {
        return Ok(Check::NoSecret);
    };
    if hmac(keys.plain(), &[body]) == given {
        return Ok(Check::Valid);
    }
    if body.len() > cause::SEARCHED_BYTES {
        return Err(Fault::Wrong(Cause::Unknown));
    }
    let head = signed_head(headers);
    let decoded = keys.is_encoded().then(|| Trial {
        cause: Cause::SecretDecoded,
        key: keys.standard().to_vec(),
        head: Vec::new(),
        body: body.to_vec(),
    });
    let other = [keys.plain(), keys.standard()].map(|key| Trial {
        cause: Cause::OtherScheme,
        key: key.to_vec(),
        head: head.clone(),
        body: body.to_vec(),
    });
    let trials = cause::common(keys, keys.plain(), &[], body)
        .chain(decoded)
        .chain(other);
    Err(Fault::Wrong(cause::find(trials, |tried| *tried == given)))
}

/// Returns the content that `webhook-signature` covers before the body.
fn signed_head(headers: &HeaderMap) -> Vec<u8> {
    let value = |name| headers.get(name).map_or(&b""[..], |value| value.as_bytes());
    [value("webhook-id"), b".", value("webhook-timestamp"), b"."].concat()
}

fn digest(given: &str) -> Result<[u8; 32], Fault> {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if given
        .split_once('=')
        .is_some_and(|(_, rest)| rest.len() == 64 && is_hex(rest))
    {
        return Err(Fault::Form("a name and = precede the digits"));
    }
    if given.len() != 64 {
        return Err(Fault::Form("wrong length"));
    }
    if !is_hex(given) {
        return Err(Fault::Form("invalid characters"));
    }
    if given.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Fault::Form("some digits are in upper case"));
    }
    let mut bytes = [0; 32];
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit - b'a' + 10,
    };
    let pairs = given.as_bytes().as_chunks::<2>().0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high) << 4 | nibble(*low);
    }
    Ok(bytes)
}
