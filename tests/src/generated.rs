//! Reproducible random documents from a seed.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Returns `WAHOOK_FUZZ_SEED`, or a random seed. Tests print it when they fail.
pub fn seed() -> u64 {
    number_from("WAHOOK_FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish())
}

/// Returns the number of documents: `WAHOOK_FUZZ_DOCUMENTS`, or 20,000.
pub fn how_many() -> usize {
    let count = number_from("WAHOOK_FUZZ_DOCUMENTS").map(usize::try_from);
    count.and_then(Result::ok).unwrap_or(20_000)
}

/// Endless values of `strategy`, determined by the seed.
pub fn drawn<S: Strategy>(seed: u64, strategy: S) -> impl Iterator<Item = S::Value> {
    let bytes = [seed.to_le_bytes(); 4].concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // The iteration ends if the strategy rejects too many values.
    std::iter::from_fn(move || Some(strategy.new_tree(&mut runner).ok()?.current()))
}

fn number_from(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}
