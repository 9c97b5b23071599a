//! Answers of a receiver that limits its rate.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::receiver::{Answer, Post};

/// Returns a token bucket's answers: 200 for `per_second` requests per second, the same
/// number at once after a pause, and 429 with `Retry-After: 1` for others.
pub fn rate_limited(per_second: f64) -> impl Fn(&Post) -> Answer + Send + Sync + 'static {
    let bucket = Mutex::new((per_second, Instant::now()));
    move |_| {
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *bucket;
        let now = Instant::now();
        let tokens = per_second.min(tokens + per_second * (now - last).as_secs_f64());
        let is_taken = tokens >= 1.0;
        *bucket = (if is_taken { tokens - 1.0 } else { tokens }, now);
        if is_taken {
            Answer::status(200)
        } else {
            Answer::status(429).header("retry-after", "1")
        }
    }
}
