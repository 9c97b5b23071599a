//! How does a test draw many documents of which each can be drawn again?

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// `WAHOOK_FUZZ_SEED`, else a fresh one. A test prints it when it fails.
pub fn seed() -> u64 {
    number_from("WAHOOK_FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish())
}

/// `WAHOOK_FUZZ_DOCUMENTS`, else what is worth its time in every run of the tests.
pub fn how_many() -> usize {
    let asked = number_from("WAHOOK_FUZZ_DOCUMENTS").map(usize::try_from);
    asked.and_then(Result::ok).unwrap_or(20_000)
}

/// What `strategy` makes of the seed, without end.
pub fn drawn<S: Strategy>(seed: u64, strategy: S) -> impl Iterator<Item = S::Value> {
    let bytes = [seed.to_le_bytes(); 4].concat();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    // A strategy that refuses too much of what it draws ends the iteration.
    std::iter::from_fn(move || Some(strategy.new_tree(&mut runner).ok()?.current()))
}

fn number_from(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}
