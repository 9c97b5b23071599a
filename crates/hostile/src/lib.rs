//! Inputs for fuzz tests: texts of a corpus with damaged bytes, and arbitrary bytes.
//!
//! The tests are property tests named `hostile`, next to each parser of foreign bytes. `make test` runs a few
//! hundred cases of each, `make fuzz` many times as many.

pub mod spelled;

use std::{borrow::Cow, env};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

/// Variable with the factor for the number of cases.
const FACTOR: &str = "WAHOOK_FUZZ_FACTOR";
/// Bytes with a meaning in one of the formats.
const MEANINGFUL: &[u8] = b"{}[]()\",:;\\/uxeE+-.=#$%&?@'` \t\r\n\0\x1b\x7f\xff0123456789";

/// Returns the configuration for this number of cases, times the factor of `make fuzz`.
#[must_use]
pub fn cases(count: u32) -> ProptestConfig {
    let factor = env::var(FACTOR).ok().and_then(|text| text.parse().ok());
    let factor: u32 = factor.unwrap_or(1);
    let mut config = ProptestConfig::with_cases(count.saturating_mul(factor));
    // Of cases that a test does not use, as many more are permitted.
    config.max_global_rejects = config.max_global_rejects.saturating_mul(factor);
    config
}

/// Returns texts of the corpus in which up to four bytes are inserted, replaced or removed, or a part is
/// repeated or cut off; in one of eight cases arbitrary bytes.
pub fn damaged(corpus: impl Into<Cow<'static, [&'static str]>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), select(MEANINGFUL)];
    let damage = (any::<Index>(), any::<Index>(), 0..5_u8, byte);
    let damaged = (select(corpus), vec(damage, 0..5)).prop_map(|(text, damages)| {
        let apply =
            |bytes, (at, to, kind, byte): (Index, Index, u8, u8)| hit(bytes, at, to, kind, byte);
        damages.into_iter().fold(text.as_bytes().to_vec(), apply)
    });
    prop_oneof![7 => damaged, 1 => vec(any::<u8>(), 0..300)]
}

/// Returns the same as [`damaged`], as text.
pub fn damaged_text(corpus: &'static [&'static str]) -> impl Strategy<Value = String> {
    damaged(corpus).prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn hit(mut bytes: Vec<u8>, at: Index, to: Index, kind: u8, byte: u8) -> Vec<u8> {
    let at = at.index(bytes.len() + 1);
    let end = (at + to.index(20)).min(bytes.len());
    match kind {
        0 => bytes.insert(at, byte),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..end)),
        3 => bytes.extend_from_within(at..end),
        _ => {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
    }
    bytes
}
