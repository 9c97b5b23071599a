//! Interface of searches for deliveries, for the console.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;
use wahook_domain::{Attempt, EndpointName, EventId, Sent, Status, UnixMillis};

use crate::{LogFuture, RecentEndpoint, Summary, parse_record_key, record_key};

/// Time limit of each search. A search that would take longer fails with
/// [`LogUnavailable::TooSlow`](crate::LogUnavailable::TooSlow).
pub const SEARCH_LIMIT: Duration = Duration::from_secs(5);

/// Searches in the log, implemented for MongoDB and for the file of the embedded store. Each
/// reads an index, and takes at most [`SEARCH_LIMIT`].
pub trait DeliverySearch: Send + Sync {
    /// Returns at most `limit` deliveries that match, newest first: by time of acceptance, then
    /// by key, both descending. Starts after `cursor`.
    fn search<'a>(
        &'a self,
        filter: &'a SearchFilter,
        cursor: Option<&'a Cursor>,
        limit: usize,
    ) -> LogFuture<'a, Page>;

    /// Returns a delivery with its payload and all attempts; `None` if there is no record.
    fn delivery<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<LoggedDelivery>>;

    /// Counts the deliveries of events accepted at or after `since` and before `until`.
    fn summary(&self, since: UnixMillis, until: UnixMillis) -> LogFuture<'_, Summary>;

    /// Returns the endpoints of the 1,000 newest records, by name, with the durations of their
    /// attempts.
    fn recent(&self) -> LogFuture<'_, Vec<RecentEndpoint>>;
}

/// Filter for deliveries. Each part that is set must match; texts match exactly, except
/// `error`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchFilter {
    pub status: Option<Status>,
    /// Name of the event.
    pub event: Option<String>,
    pub endpoint: Option<String>,
    pub source: Option<String>,
    pub session: Option<String>,
    pub chat: Option<String>,
    pub message_id: Option<String>,
    pub event_id: Option<String>,
    pub status_code: Option<u16>,
    /// Text that the error message contains, with the same case.
    pub error: Option<String>,
    /// Earliest time of acceptance.
    pub since: Option<UnixMillis>,
    /// Time of acceptance before which all deliveries are.
    pub until: Option<UnixMillis>,
}

/// Position of a delivery in the order of searches. It stays valid while deliveries are added
/// and removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub created_at: UnixMillis,
    /// Key of the record.
    pub key: String,
}

/// Text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("is not a cursor: use the value of \"next\" of the previous page")]
pub struct InvalidCursor;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}", self.created_at.get(), self.key)
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (time, key) = text.split_once('~').ok_or(InvalidCursor)?;
        parse_record_key(key).ok_or(InvalidCursor)?;
        Ok(Self {
            created_at: UnixMillis::new(time.parse().map_err(|_| InvalidCursor)?),
            key: key.to_owned(),
        })
    }
}

/// Part of the deliveries that match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub deliveries: Vec<FoundDelivery>,
    /// Position of the next page; `None` if this is the last.
    pub next: Option<Cursor>,
}

impl Page {
    /// Creates a page from the first `limit + 1` deliveries that match, or from fewer if there
    /// are no more.
    #[must_use]
    pub fn of(mut deliveries: Vec<FoundDelivery>, limit: usize) -> Self {
        let has_more = deliveries.len() > limit;
        deliveries.truncate(limit);
        let last = deliveries.last().filter(|_| has_more);
        let next = last.map(FoundDelivery::position);
        Self { deliveries, next }
    }
}

/// Delivery without payload and attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDelivery {
    pub event_id: EventId,
    pub endpoint: EndpointName,
    /// Name of the event.
    pub event: String,
    /// URL of the endpoint, without secrets.
    pub webhook_url: String,
    pub status: Status,
    pub status_code: Option<u16>,
    pub retry_count: u32,
    pub error_message: Option<String>,
    /// Time of acceptance.
    pub created_at: UnixMillis,
    pub updated_at: UnixMillis,
    pub last_retry_at: Option<UnixMillis>,
    pub completed_at: Option<UnixMillis>,
    pub next_attempt_at: Option<UnixMillis>,
    pub source: Option<String>,
    pub session: Option<String>,
    pub chat: Option<String>,
    pub message_id: Option<String>,
    pub attempt_count: usize,
}

impl FoundDelivery {
    /// Returns the position in the order of searches.
    #[must_use]
    pub fn position(&self) -> Cursor {
        Cursor {
            created_at: self.created_at,
            key: record_key(&self.event_id, &self.endpoint),
        }
    }
}

/// Delivery with everything that the log stores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedDelivery {
    pub found: FoundDelivery,
    /// Time that the gateway gave the event.
    pub timestamp: String,
    /// Data of the event as JSON; `None` if the log could not store it.
    pub payload: Option<String>,
    /// Reasons why the stored payload differs from the delivered one.
    pub payload_altered: Vec<String>,
    /// Body that was sent, if the payload does not give it back.
    pub sent: Option<Sent>,
    /// All attempts, the oldest first.
    pub attempts: Vec<Attempt>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursor_is_read_back_and_other_texts_are_refused() {
        let cursor = Cursor {
            created_at: UnixMillis::new(1_727_784_000_000),
            key: "evt-1/default".to_owned(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for other in [
            "",
            "1",
            "~e1/default",
            "x~e1/default",
            "1~",
            "1~e1",
            "1~e1/a/b",
        ] {
            assert_eq!(other.parse::<Cursor>(), Err(InvalidCursor), "{other}");
        }
    }
}
