//! Deliveries as they end, by repeated searches: for a log that can't be followed.
//!
//! A search has the newest accepted ones. A delivery that ends long after its acceptance is not
//! among them; the page finds it when it reads its list again.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::sleep;
use wahook_delivery_log::{Ended, FoundDelivery, SearchFilter};
use wahook_domain::{Status, UnixMillis};

use crate::{failure::Failure, log::Log};

/// Interval of the searches.
const EACH: Duration = Duration::from_secs(1);
/// Deliveries of one search.
const NEWEST: usize = 200;

/// Searches for deliveries that end.
pub(crate) struct LivePoll {
    log: Log,
    known: Known,
}

/// Deliveries that have ended, as of the last search.
struct Known {
    /// Start of the searches.
    since: UnixMillis,
    ended: BTreeSet<(String, UnixMillis)>,
}

impl LivePoll {
    /// Creates a poll for deliveries that end from now on.
    pub(crate) fn new(log: Log, now: UnixMillis) -> Self {
        let known = Known {
            since: now,
            ended: BTreeSet::new(),
        };
        Self { log, known }
    }

    /// Waits, and returns the deliveries that have ended since the last call, the oldest first.
    ///
    /// # Errors
    /// If the log can't be read.
    pub(crate) async fn next(&mut self) -> Result<Vec<Ended>, Failure> {
        sleep(EACH).await;
        let filter = SearchFilter::default();
        let page = self.log.search(filter, None, NEWEST).await?;
        Ok(self.known.new_of(page.deliveries))
    }
}

impl Known {
    fn new_of(&mut self, newest: Vec<FoundDelivery>) -> Vec<Ended> {
        let mut ended = BTreeSet::new();
        let mut new = Vec::new();
        for found in newest {
            let Some(ended_at) = found.completed_at.filter(|at| *at >= self.since) else {
                continue;
            };
            let key = (format!("{}/{}", found.event_id, found.endpoint), ended_at);
            if !self.ended.contains(&key) {
                new.push(ended_of(found, ended_at));
            }
            ended.insert(key);
        }
        self.ended = ended;
        new.sort_by_key(|ended| ended.ended_at);
        new
    }
}

fn ended_of(found: FoundDelivery, ended_at: UnixMillis) -> Ended {
    Ended {
        event_id: found.event_id.to_string(),
        event: found.event,
        endpoint: found.endpoint.to_string(),
        webhook_url: found.webhook_url,
        delivered: found.status == Status::Success,
        status_code: found.status_code.map(Into::into),
        retry_count: i32::try_from(found.retry_count).unwrap_or(i32::MAX),
        error: found.error_message,
        accepted_at: found.created_at,
        ended_at,
        // Not part of what a search finds, nor of what the console shows of an end.
        other_event: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    fn found(id: &str, completed_at: Option<i64>) -> FoundDelivery {
        FoundDelivery {
            completed_at: completed_at.map(UnixMillis::new),
            ..fake::logged(id, 1_000).found
        }
    }

    #[test]
    fn deliveries_are_new_once_after_the_start_of_the_searches() {
        let mut known = Known {
            since: UnixMillis::new(2_000),
            ended: BTreeSet::new(),
        };
        let mut ids = |newest: &[FoundDelivery]| {
            let new = known.new_of(newest.to_vec());
            let ids = new.into_iter().map(|ended| ended.event_id);
            ids.collect::<Vec<_>>()
        };
        let before = found("before", Some(1_999));
        let (first, second) = (found("first", Some(2_000)), found("second", Some(2_001)));
        let pending = found("pending", None);
        let newest = [second.clone(), pending, first.clone(), before];
        assert_eq!(ids(&newest), ["first", "second"]);
        // Ended meanwhile; and ended again, after a redrive.
        let late = found("pending", Some(2_000));
        let again = found("first", Some(3_000));
        assert_eq!(ids(&[second.clone(), late.clone(), first]), ["pending"]);
        assert_eq!(ids(&[second, late, again]), ["first"]);
    }
}
