//! Amounts of events in a spool. Pure: the time is a parameter.

use std::time::Duration;

use wahook_domain::{LARGEST_EVENT, Propagated, QueuedEvent, UnixMillis};
use wahook_embedded::Backlog;

/// Bytes of an event in the file in addition to its body: metadata, index, and unused space of
/// pages.
const METADATA_BYTES: u64 = 512;

/// Returns the bytes of an event in the file.
pub(super) fn size_of_event(event: &QueuedEvent) -> u64 {
    let context = event.propagated.as_deref().map_or(0, Propagated::size);
    size_of(event.carried_body().len() + context)
}

/// Returns the bytes of a body in the file, with the metadata of its event.
pub(super) fn size_of(body: usize) -> u64 {
    (body as u64).saturating_add(METADATA_BYTES)
}

/// Events that are in the file or being written to it.
#[derive(Debug)]
pub(super) struct Amounts {
    max_bytes: u64,
    events: u64,
    /// Events of these that are being written.
    writing: u64,
    bytes: u64,
    /// Time at which the first event was accepted.
    oldest: Option<UnixMillis>,
    /// Time since which the spool has events, and their number since then.
    period: Option<(UnixMillis, u64)>,
    /// True from the first rejected event until the largest one has room.
    is_full: bool,
    /// True while the events in the file can't be read.
    is_unreadable: bool,
}

/// Effect of a reservation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reserved {
    /// First event of an empty spool.
    First,
    /// First event after the spool was full.
    RoomAgain,
    Next,
}

/// No room for an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// True for the first rejected event.
    pub(super) is_new: bool,
    pub(super) bytes: u64,
}

/// End of a period in which the spool had events.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Events of the period.
    pub(super) events: u64,
    pub(super) after: Duration,
}

impl Amounts {
    /// Creates the amounts of a file with a backlog.
    pub(super) fn new(max_bytes: u64, backlog: Backlog, now: UnixMillis) -> Self {
        let metadata = backlog.messages.saturating_mul(METADATA_BYTES);
        Self {
            max_bytes,
            events: backlog.messages,
            writing: 0,
            bytes: backlog.bytes.saturating_add(metadata),
            oldest: backlog.oldest,
            period: (backlog.messages > 0).then_some((now, backlog.messages)),
            is_full: false,
            is_unreadable: false,
        }
    }

    /// Reserves room for an event.
    pub(super) fn reserve(
        &mut self,
        size: u64,
        accepted_at: UnixMillis,
        now: UnixMillis,
    ) -> Result<Reserved, Full> {
        if self.bytes.saturating_add(size) > self.max_bytes {
            let is_new = !self.is_full;
            self.is_full = true;
            return Err(Full {
                is_new,
                bytes: self.bytes,
            });
        }
        let had_room = !self.is_full;
        self.is_full &= !self.has_room();
        self.events += 1;
        self.writing += 1;
        self.bytes += size;
        let (_, events) = self.period.get_or_insert((now, 0));
        *events += 1;
        if self.events == 1 {
            self.oldest = Some(accepted_at);
            return Ok(Reserved::First);
        }
        Ok(if had_room || self.is_full {
            Reserved::Next
        } else {
            Reserved::RoomAgain
        })
    }

    /// Records the end of a write.
    pub(super) fn written(&mut self) {
        self.writing = self.writing.saturating_sub(1);
    }

    /// Removes an event. Returns the end of the period if it was the last one.
    pub(super) fn remove(&mut self, size: u64, now: UnixMillis) -> Option<Ended> {
        self.events = self.events.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(size);
        if self.events > 0 {
            return None;
        }
        self.bytes = 0;
        self.oldest = None;
        self.is_unreadable = false;
        let (since, events) = self.period.take()?;
        Some(Ended {
            events,
            after: now.since(since),
        })
    }

    /// Sets the time of the first event.
    pub(super) fn set_oldest(&mut self, accepted_at: UnixMillis) {
        self.oldest = Some(accepted_at);
    }

    /// Records whether the events in the file can be read; those that are being written do not
    /// count. Returns true if they can't any longer.
    pub(super) fn set_unreadable(&mut self, is_unreadable: bool) -> bool {
        let before = self.is_unreadable;
        self.is_unreadable = is_unreadable && self.events > self.writing;
        self.is_unreadable && !before
    }

    /// Returns true if new events must wait behind those in the file. Events that can't be
    /// read hold back no others.
    pub(super) fn holds_back(&self) -> bool {
        self.events > 0 && !self.is_unreadable
    }

    /// Returns true if an event was rejected and the largest one still has no room.
    pub(super) fn is_full(&self) -> bool {
        self.is_full && !self.has_room()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events == 0
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the age of the first event; zero if there is none.
    pub(super) fn age(&self, now: UnixMillis) -> Duration {
        self.oldest
            .map(|oldest| now.since(oldest))
            .unwrap_or_default()
    }

    fn has_room(&self) -> bool {
        self.bytes.saturating_add(size_of(LARGEST_EVENT)) <= self.max_bytes
    }
}

#[cfg(test)]
mod tests;
