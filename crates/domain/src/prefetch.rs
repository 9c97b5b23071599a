//! Prefetch: the number of unacked messages that a consumer holds for an endpoint.

use crate::pace::RateLimit;

/// Upper bound on prefetched messages, as a multiple of the endpoint's concurrency.
/// So the last of them waits for at most this many consecutive requests, its own
/// included.
pub const PREFETCH_FACTOR: u16 = 8;

/// Returns the prefetch: requests in flight plus messages that wait for the log, a
/// retry's confirm or a batched ack. The latter are up to seven times the concurrency,
/// but no more than the log accepts at once (`max_awaiting_log`); with fewer, permits
/// would be idle. A rate limit caps the prefetch at five seconds' worth.
#[must_use]
pub fn prefetch(concurrency: u16, max_awaiting_log: u16, rate_limit: Option<RateLimit>) -> u16 {
    let settling = concurrency
        .saturating_mul(PREFETCH_FACTOR - 1)
        .min(max_awaiting_log);
    let by_permits = concurrency.saturating_add(settling);
    match rate_limit {
        None => by_permits,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, and a limit is positive"
        )]
        Some(limit) => by_permits
            .min((limit.per_second() * 5.0).ceil() as u16)
            .max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetch_is_bounded_by_its_factor_the_log_and_the_rate_limit() {
        let limit = |per_second| RateLimit::new(per_second);
        for (concurrency, rate_limit, expected) in [
            (1, None, 8),
            (8, None, 64),
            (128, None, 896),
            (2_048, None, 2_816),
            (u16::MAX, None, u16::MAX),
            (128, limit(10.0), 50),
            (128, limit(0.01), 1),
            (1, limit(10_000.0), 8),
        ] {
            let prefetched = prefetch(concurrency, 768, rate_limit);
            assert_eq!(prefetched, expected, "{concurrency} {rate_limit:?}");
            assert!(prefetched.div_ceil(concurrency) <= PREFETCH_FACTOR);
        }
    }
}
