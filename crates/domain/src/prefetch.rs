//! Prefetch: the number of unacked messages that a consumer holds for an endpoint.

use std::time::Duration;

use crate::pace::RateLimit;

/// Longest time for which prefetched messages wait for their attempts. RabbitMQ closes a
/// channel that holds a message for more than 30 minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(20 * 60);
/// The same for deliveries that are slowed.
const LONGEST_SLOW_WAIT: f64 = 120.0;

/// Upper bound on prefetched messages, as a multiple of the endpoint's concurrency.
/// So the last of them waits for at most this many consecutive requests, its own
/// included.
pub const PREFETCH_FACTOR: u16 = 8;

/// Returns the prefetch: requests in flight plus messages that wait for the log, a
/// retry's confirm or a batched ack. The latter are up to seven times the concurrency,
/// but no more than the log accepts at once (`max_awaiting_log`); with fewer, permits
/// would be idle. A rate limit caps the prefetch at five seconds' worth. With a long
/// `timeout` fewer messages are prefetched, so that the last does not wait too long.
#[must_use]
pub fn prefetch(
    concurrency: u16,
    max_awaiting_log: u16,
    rate_limit: Option<RateLimit>,
    timeout: Duration,
) -> u16 {
    let settling = concurrency
        .saturating_mul(PREFETCH_FACTOR - 1)
        .min(max_awaiting_log);
    let rounds = LONGEST_WAIT.as_millis() / timeout.as_millis().max(1);
    let rounds = u16::try_from(rounds).unwrap_or(u16::MAX).max(1);
    let by_permits = concurrency
        .saturating_add(settling)
        .min(concurrency.saturating_mul(rounds));
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

/// Returns the prefetch of an endpoint that was slowed to this many deliveries per
/// second. It is the full prefetch or a power of two, since each change needs another
/// subscription.
#[must_use]
pub fn slowed_prefetch(full: u16, per_second: f64) -> u16 {
    let most = per_second * LONGEST_SLOW_WAIT;
    if most >= f64::from(full) {
        return full;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` saturates, and a rate is positive"
    )]
    let most = (most as u16).max(1);
    1 << most.ilog2()
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
            let prefetched = prefetch(concurrency, 768, rate_limit, Duration::from_secs(30));
            assert_eq!(prefetched, expected, "{concurrency} {rate_limit:?}");
            assert!(prefetched.div_ceil(concurrency) <= PREFETCH_FACTOR);
        }
    }
    #[test]
    fn no_prefetched_message_waits_as_long_as_the_broker_allows() {
        let allowed = Duration::from_secs(30 * 60);
        for (seconds, concurrency, expected) in [
            (30, 1, 8),
            (150, 1, 8),
            (300, 1, 4),
            (300, 128, 512),
            (300, 2_048, 2_816),
        ] {
            let timeout = Duration::from_secs(seconds);
            let prefetched = prefetch(concurrency, 768, None, timeout);
            assert_eq!(prefetched, expected, "{seconds} {concurrency}");
            let rounds = u32::from(prefetched.div_ceil(concurrency));
            assert!(timeout * rounds < allowed);
        }
        let hours = Duration::from_secs(36_000);
        assert_eq!(prefetch(1, 768, None, hours), 1);
    }

    #[test]
    fn slowed_endpoint_prefetches_what_two_minutes_deliver() {
        for (full, per_second, expected) in [
            (896, 8.5, 896),
            (896, 1.0, 64),
            (896, 0.1, 8),
            (8, 0.1, 8),
            (8, 0.001, 1),
        ] {
            assert_eq!(
                slowed_prefetch(full, per_second),
                expected,
                "{full} {per_second}"
            );
        }
    }
}
