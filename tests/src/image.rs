//! Environment that the shipped images set for glibc's allocator.

use std::fs;

use anyhow::{Context, ensure};

use crate::workspace;

const VARIABLES: [&str; 3] = [
    "MALLOC_ARENA_MAX",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
];

/// Returns the variables of the allocator that the image of a program sets.
///
/// # Errors
/// If the image does not exist, or sets none.
pub fn allocator(image: &str) -> anyhow::Result<Vec<(&'static str, String)>> {
    let file = fs::read_to_string(workspace().join("deploy/docker/Dockerfile"))?;
    let rest = file.split_once(&format!(" AS {image}\n"));
    let (_, rest) = rest.with_context(|| format!("no image of {image}"))?;
    let stage = rest.split("\nFROM ").next().unwrap_or_default();
    let set = |name| {
        let mut words = stage.split_whitespace();
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let variables = VARIABLES.into_iter();
    let found: Vec<_> = variables
        .filter_map(|name| Some((name, set(name)?.to_owned())))
        .collect();
    ensure!(!found.is_empty(), "{image}: no variables of the allocator");
    Ok(found)
}
