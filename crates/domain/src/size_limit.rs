//! Limit of the prefetch by the sizes of messages.

/// Size of the largest recent message, in bytes. Falls by a quarter with each smaller message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentSize(usize);

/// Number of messages that fit into the memory of an endpoint. There is no limit until a
/// message does not fit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeLimit {
    messages: Option<u16>,
    recent: RecentSize,
}

impl RecentSize {
    /// Adds the size of a message.
    pub fn record(&mut self, bytes: usize) {
        self.0 = bytes.max(self.0 - self.0 / 4);
    }

    /// Returns the number of messages of this size that fit into `share` bytes, at least 1.
    fn fitting(self, share: usize) -> u16 {
        let fitting = share / self.0.max(1);
        u16::try_from(fitting).unwrap_or(u16::MAX).max(1)
    }
}

impl SizeLimit {
    /// Returns the limit; `None` while there is none.
    #[must_use]
    pub fn messages(self) -> Option<u16> {
        self.messages
    }

    /// Lowers the limit after a message that did not fit into `share` bytes: to the messages of
    /// the recent size that fit, and at most half of `prefetch`, the limit until now.
    pub fn lower(&mut self, recent: RecentSize, share: usize, prefetch: u16) {
        self.recent.record(recent.0);
        let fitting = self.recent.fitting(share);
        self.messages = Some(fitting.min(prefetch / 2).max(1));
    }

    /// Adds the size of a message while there is a limit, which rises once twice as many
    /// messages fit, and ends at `full` messages.
    pub fn record(&mut self, bytes: usize, share: usize, full: u16) {
        let Some(limit) = self.messages else { return };
        self.recent.record(bytes);
        let fitting = self.recent.fitting(share);
        if fitting >= full {
            self.messages = None;
        } else if fitting >= limit.saturating_mul(2) {
            self.messages = Some(fitting);
        }
    }

    /// Returns the bytes that as many messages of the recent size as permitted need.
    #[must_use]
    pub fn bytes(self) -> usize {
        usize::from(self.messages.unwrap_or(0)).saturating_mul(self.recent.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;
    const SHARE: usize = 64 * MIB;
    const FULL: u16 = 896;

    fn size(bytes: usize) -> RecentSize {
        let mut recent = RecentSize::default();
        recent.record(bytes);
        recent
    }

    #[test]
    fn limit_is_lowered_to_what_fits_and_at_least_halved() {
        for (bytes, prefetch, expected) in [
            (MIB, FULL, 64),
            (15 * MIB, FULL, 4),
            (15 * MIB, 4, 2),
            (100 * MIB, FULL, 1),
            (100 * MIB, 1, 1),
            // Small messages that did not fit next to a large one.
            (1_000, FULL, FULL / 2),
            (0, FULL, FULL / 2),
        ] {
            let mut limit = SizeLimit::default();
            limit.lower(size(bytes), SHARE, prefetch);
            assert_eq!(limit.messages(), Some(expected), "{bytes} {prefetch}");
            assert!(expected == 1 || limit.bytes() <= SHARE);
        }
    }

    #[test]
    fn limit_rises_with_small_messages_and_ends() {
        let mut limit = SizeLimit::default();
        limit.lower(size(15 * MIB), SHARE, FULL);
        let mut limits = vec![limit.messages()];
        let mut small = 0;
        while limit.messages().is_some() {
            limit.record(1_000, SHARE, FULL);
            small += 1;
            if limits.last() != Some(&limit.messages()) {
                limits.push(limit.messages());
            }
        }
        assert!(small <= 32, "{small} messages");
        assert!(limits.len() <= 9, "{limits:?}");
        let rises = limits
            .windows(2)
            .all(|two| two[1].is_none() || two[0] < two[1]);
        assert!(rises, "{limits:?}");
    }

    #[test]
    fn limit_stays_while_messages_are_large() {
        let mut limit = SizeLimit::default();
        limit.lower(size(15 * MIB), SHARE, FULL);
        for bytes in [MIB, 15 * MIB, 2 * MIB, 14 * MIB, 15 * MIB] {
            limit.record(bytes, SHARE, FULL);
            assert_eq!(limit.messages(), Some(4), "{bytes}");
        }
    }

    #[test]
    fn without_a_limit_sizes_have_no_effect() {
        let mut limit = SizeLimit::default();
        limit.record(15 * MIB, SHARE, FULL);
        assert_eq!(limit, SizeLimit::default());
        assert_eq!(limit.bytes(), 0);
    }
}
