//! Answers of a receiver that limits its rate.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crate::receiver::{Answer, Post};

/// Token bucket of a receiver: a number of requests per second, and the same number at once
/// after a pause.
#[derive(Debug)]
pub struct TokenBucket {
    per_second: f64,
    /// Tokens at this time.
    tokens: Mutex<(f64, Instant)>,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub fn new(per_second: f64) -> Self {
        Self {
            per_second,
            tokens: Mutex::new((per_second, Instant::now())),
        }
    }

    /// Returns true if a request may pass now.
    pub fn take(&self) -> bool {
        let mut bucket = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (tokens, last) = *bucket;
        let now = Instant::now();
        let refilled = tokens + self.per_second * (now - last).as_secs_f64();
        let tokens = refilled.min(self.per_second);
        let is_taken = tokens >= 1.0;
        *bucket = (if is_taken { tokens - 1.0 } else { tokens }, now);
        is_taken
    }
}

/// Returns the answers of a [`TokenBucket`]: 200, and 429 with `Retry-After: 1`.
pub fn rate_limited(per_second: f64) -> impl Fn(&Post) -> Answer + Send + Sync + 'static {
    let bucket = TokenBucket::new(per_second);
    move |_| rate_limited_answer(bucket.take())
}

/// Returns the answer to a request that passed the bucket, or did not.
pub fn rate_limited_answer(is_taken: bool) -> Answer {
    if is_taken {
        Answer::status(200)
    } else {
        Answer::status(429).header("retry-after", "1")
    }
}
