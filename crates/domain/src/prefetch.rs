//! Prefetch: the number of unacked messages that a consumer holds for an endpoint, and
//! how it follows from the sizes of the messages.

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
/// Size in bytes that messages are assumed to have until they are seen.
const ASSUMED_SIZE: u64 = 8 << 20;
/// Largest increase of a prefetch at once: a burst of messages of unknown size.
const MAX_INCREASE: u16 = 64;
/// The largest size loses this part, as a power of two, with each smaller message.
const DECAY_SHIFT: u32 = 4;

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

/// Returns the number of bytes that one subscription may hold while the others hold
/// `others`: half of what they leave. So one alone uses half of the budget, two use a
/// third each, and none can take it all.
#[must_use]
pub const fn room(budget: u64, others: u64) -> u64 {
    budget.saturating_sub(others) / 2
}

/// Returns true if a subscription that holds `held` bytes may receive another message.
/// Without any, it always may, whatever the others hold.
#[must_use]
pub const fn has_room(held: u64, room: u64) -> bool {
    held == 0 || held < room
}

/// Prefetch of one subscription, adapted to the sizes of its messages. A broker counts
/// messages, memory counts bytes.
#[derive(Debug, Clone)]
pub struct AdaptivePrefetch {
    ceiling: u16,
    current: u16,
    /// Messages since the last change.
    seen: u16,
    /// Largest size of the recent messages.
    largest: u64,
}

/// Change that a message makes necessary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adaptation {
    Keep,
    /// Continue with this larger prefetch.
    Grow(u16),
    /// Receive nothing until [`may_resume`](AdaptivePrefetch::may_resume).
    Pause,
}

impl AdaptivePrefetch {
    /// Creates the prefetch of a subscription that has `room` bytes: at most `ceiling`
    /// messages, and few while their sizes are unknown.
    #[must_use]
    pub fn new(ceiling: u16, room: u64) -> Self {
        let mut new = Self {
            ceiling,
            current: ceiling,
            seen: 0,
            largest: ASSUMED_SIZE,
        };
        new.current = new.fitting(room);
        new
    }

    /// Returns the prefetch in effect.
    #[must_use]
    pub const fn current(&self) -> u16 {
        self.current
    }

    /// Records a message of `size` bytes. With it, `unacked` messages of `held` bytes are
    /// held, those of replaced subscriptions included.
    pub fn received(&mut self, size: u64, unacked: usize, held: u64, room: u64) -> Adaptation {
        self.seen = self.seen.saturating_add(1);
        self.largest = size.max(self.largest - (self.largest >> DECAY_SHIFT));
        if held > room {
            return Adaptation::Pause;
        }
        if self.current >= self.ceiling
            || self.seen < self.current
            || unacked > usize::from(self.current)
        {
            return Adaptation::Keep;
        }
        // The messages held now do not count against the next prefetch. So there must be
        // none of an earlier one, or they would add up.
        let next = self.fitting(room.saturating_sub(held));
        let next = next.min(self.current.saturating_add(MAX_INCREASE));
        let doubled = self.current.saturating_mul(2);
        if next
            < doubled
                .min(self.current.saturating_add(MAX_INCREASE))
                .min(self.ceiling)
        {
            return Adaptation::Keep;
        }
        Adaptation::Grow(next)
    }

    /// Puts a larger prefetch into effect.
    pub fn grown(&mut self, next: u16) {
        self.current = next;
        self.seen = 0;
    }

    /// Returns true if a paused subscription may continue: half of its room is free.
    #[must_use]
    pub const fn may_resume(held: u64, room: u64) -> bool {
        held <= room / 2
    }

    /// Puts the prefetch after a pause into effect and returns it: the free half of the
    /// room, in messages of the largest recent size.
    pub fn resumed(&mut self, room: u64) -> u16 {
        let next = self.fitting(room / 2).min(self.current);
        self.grown(next);
        next
    }

    fn fitting(&self, bytes: u64) -> u16 {
        let fitting = bytes / self.largest.max(1);
        u16::try_from(fitting)
            .unwrap_or(u16::MAX)
            .clamp(1, self.ceiling.max(1))
    }
}

#[cfg(test)]
mod tests;
