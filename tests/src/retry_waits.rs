//! Waits between the attempts of events, at their receiver.

use std::sync::Arc;
use std::time::Duration;

use crate::receiver::{Answer, Post, Receiver};

/// Returns a receiver that refuses the first attempt of each event with 400.
pub async fn refusing_first_attempts() -> Receiver {
    Receiver::answering(|post| {
        let is_first = post.attempt() == Some(1);
        Answer::status(if is_first { 400 } else { 200 })
    })
    .await
}

/// Checks that no second attempt is earlier than `delay` after the first one, and that the waits
/// differ.
///
/// # Panics
/// If one is earlier, or if the waits are equal or missing.
pub fn assert_spread(posts: &[Arc<Post>], delay: Duration) {
    let seconds = posts.iter().filter(|post| post.attempt() == Some(2));
    let waits = seconds.filter_map(|second| {
        let first = posts.iter().find(|first| first.id() == second.id())?;
        Some(second.arrived - first.arrived)
    });
    let (shortest, longest) = waits.fold((Duration::MAX, Duration::ZERO), |(low, high), wait| {
        (low.min(wait), high.max(wait))
    });
    // The answer of the first attempt takes part of the time between the arrivals.
    assert!(
        shortest >= delay.saturating_sub(Duration::from_millis(10)),
        "{shortest:?}"
    );
    let spread = longest.saturating_sub(shortest);
    assert!(spread >= Duration::from_millis(300), "{spread:?}");
}
