//! Which small change would make a wrong signature right?

use wahook_domain::json;

use super::{Evidence, Keys, Suspicion, keys::hmac};

/// Each change costs a hash of the whole body, and there are a dozen.
pub(super) const SEARCHED_BYTES: usize = 1 << 20;

/// A change to try.
pub(super) struct Trial {
    pub(super) suspicion: Suspicion,
    pub(super) key: Vec<u8>,
    /// What is signed before the body.
    pub(super) head: Vec<u8>,
    pub(super) body: Vec<u8>,
}

/// The first that makes one of the given signatures.
pub(super) fn find(
    trials: impl Iterator<Item = Trial>,
    is_given: impl Fn(&[u8; 32]) -> bool,
) -> Suspicion {
    let mut trials = trials;
    trials
        .find(|trial| is_given(&hmac(&trial.key, &[&trial.head, &trial.body])))
        .map_or(Suspicion::Nothing, |trial| trial.suspicion)
}

/// What can happen to both headers: to the body on the way, to the secret at
/// the sender.
pub(super) fn common(
    keys: &Keys,
    key: &[u8],
    head: &[u8],
    body: &[u8],
) -> impl Iterator<Item = Trial> {
    let of_body = |suspicion, body: Vec<u8>| Trial {
        suspicion,
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
        .map(|end| of_body(Suspicion::LineEnd, end))
        .chain(canonical(body).map(|printed| of_body(Suspicion::Reserialised, printed)))
        .collect();
    let (head, body) = (head.to_vec(), body.to_vec());
    let secrets = keys.mistaken().map(move |key| Trial {
        suspicion: Suspicion::SecretSpaced,
        key,
        head: head.clone(),
        body: body.clone(),
    });
    bodies.into_iter().chain(secrets)
}

/// What is most likely where no change helps.
pub(super) fn by_evidence(body: &[u8], evidence: Evidence) -> Suspicion {
    if evidence.same_id_had_another_body {
        return Suspicion::BodyDiffers;
    }
    if canonical(body).is_none_or(|printed| printed != body) {
        return Suspicion::BodyNotCanonical;
    }
    if evidence.secret_has_verified {
        return Suspicion::SecretOrBody;
    }
    Suspicion::OtherSecret
}

/// As `JSON.stringify(JSON.parse(body))` prints it.
fn canonical(body: &[u8]) -> Option<Vec<u8>> {
    let node = json::parse(body).ok()?;
    let mut printed = Vec::with_capacity(body.len());
    json::print(&node, &mut printed);
    Some(printed)
}
