//! `webhook-signature` of the [Standard Webhooks](https://www.standardwebhooks.com)
//! specification: `v1,<Base64>` of the HMAC-SHA256 of `id.timestamp.body`, one for each
//! valid secret, separated by spaces.

use axum::http::HeaderMap;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use wahook_domain::UnixMillis;

use super::cause::{self, Trial};
use super::{Cause, Check, Fault, Keys, keys::hmac, only};

pub(super) const HEADER: &str = "webhook-signature";
/// Tolerance for the timestamp in seconds, as in the libraries.
const TOLERANCE: u64 = 300;

pub(super) fn check(
    headers: &HeaderMap,
    body: &[u8],
    keys: Option<&Keys>,
    arrived: UnixMillis,
) -> Result<Check, Fault> {
    let given = only(headers, HEADER)?;
    let id = only(headers, "webhook-id")?;
    let timestamp = only(headers, "webhook-timestamp")?;
    let given: Vec<[u8; 32]> = given.split(' ').filter_map(digest).collect();
    if given.is_empty() {
        return Err(Fault::NoVersion1);
    }
    let seconds = seconds(timestamp)?;
    let Some(keys) = keys else {
        return Ok(Check::NoSecret);
    };
    let head = format!("{id}.{timestamp}.");
    let is_given = |tried: &[u8; 32]| given.contains(tried);
    if is_given(&hmac(keys.standard(), &[head.as_bytes(), body])) {
        return in_time(seconds, arrived);
    }
    if body.len() > cause::SEARCHED_BYTES {
        return Err(Fault::Wrong(Cause::Unknown));
    }
    let as_text = keys.is_encoded().then(|| Trial {
        cause: Cause::SecretAsText,
        key: keys.plain().to_vec(),
        head: head.clone().into_bytes(),
        body: body.to_vec(),
    });
    let other = [keys.plain(), keys.standard()].map(|key| Trial {
        cause: Cause::OtherScheme,
        key: key.to_vec(),
        head: Vec::new(),
        body: body.to_vec(),
    });
    let trials = cause::common(keys, keys.standard(), head.as_bytes(), body)
        .chain(as_text)
        .chain(other);
    Err(Fault::Wrong(cause::find(trials, is_given)))
}

fn in_time(seconds: i64, arrived: UnixMillis) -> Result<Check, Fault> {
    let now = arrived.seconds();
    let off = now.abs_diff(seconds);
    if off <= TOLERANCE {
        return Ok(Check::Valid);
    }
    Err(Fault::TimestampOff {
        seconds: off,
        late: seconds < now,
    })
}

fn seconds(timestamp: &str) -> Result<i64, Fault> {
    let digits = timestamp.bytes().all(|byte| byte.is_ascii_digit());
    match timestamp.parse() {
        // A value of 1e12 seconds is in the year 33658.
        Ok(seconds) if digits && seconds < 1_000_000_000_000 => Ok(seconds),
        Ok(_) if digits => Err(Fault::Timestamp(", but probably of milliseconds")),
        _ => Err(Fault::Timestamp("")),
    }
}

fn digest(part: &str) -> Option<[u8; 32]> {
    let encoded = part.strip_prefix("v1,")?;
    BASE64_STANDARD.decode(encoded).ok()?.try_into().ok()
}
