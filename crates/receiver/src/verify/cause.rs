//! Search for a small change that makes a wrong signature match.

use wahook_domain::json;

use super::{Cause, EarlierRequests, Keys, keys::hmac};

/// Limit for bodies to search: each of about a dozen changes hashes the whole body.
pub(super) const SEARCHED_BYTES: usize = 1 << 20;

pub(super) struct Trial {
    pub(super) cause: Cause,
    pub(super) key: Vec<u8>,
    /// Content signed before the body.
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// Returns the cause of the first trial that makes one of the given signatures.
pub(super) fn find(
    trials: impl Iterator<Item = Trial>,
    is_given: impl Fn(&[u8; 32]) -> bool,
) -> Cause {
    let mut trials = trials;
    trials
        .find(|trial| is_given(&hmac(&trial.key, &[&trial.head, &trial.body])))
        .map_or(Cause::Unknown, |trial| trial.cause)
}

/// Returns the trials for both headers: changes of the body in transit, and of the secret
/// at the sender.
pub(super) fn common(
    keys: &Keys,
    key: &[u8],
    head: &[u8],
    body: &[u8],
) -> impl Iterator<Item = Trial> {
    let of_body = |cause, body: Vec<u8>| Trial {
        cause,
        key: key.to_vec(),
        head: head.to_vec(),
        body,
    };
    let ends = [
        body.trim_ascii_end().to_vec(),
        [body, b"\n"].concat(),
        [body, b"\r\n"].concat(),
    ];
    let bodies: Vec<Trial> = ends
        .into_iter()
        .map(|end| of_body(Cause::LineEnd, end))
        .chain(canonical(body).map(|printed| of_body(Cause::Reserialised, printed)))
        .collect();
    let (head, body) = (head.to_vec(), body.to_vec());
    let secrets = keys.mistaken().map(move |key| Trial {
        cause: Cause::SecretSpaced,
        key,
        head: head.clone(),
        body: body.clone(),
    });
    bodies.into_iter().chain(secrets)
}

/// Returns the most probable cause if no trial matches.
pub(super) fn by_earlier_requests(body: &[u8], earlier: EarlierRequests) -> Cause {
    if earlier.same_id_had_another_body {
        return Cause::BodyDiffers;
    }
    if canonical(body).is_none_or(|printed| printed != body) {
        return Cause::BodyNotCanonical;
    }
    if earlier.secret_has_verified {
        return Cause::SecretOrBody;
    }
    Cause::OtherSecret
}

/// Returns the body as `JSON.stringify(JSON.parse(body))` prints it.
fn canonical(body: &[u8]) -> Option<Vec<u8>> {
    let node = json::parse(body).ok()?;
    let mut printed = Vec::with_capacity(body.len());
    json::print(&node, &mut printed);
    Some(printed)
}
