//! Numbers and durations of deliveries, for the console.

use std::{collections::BTreeMap, iter};

use wahook_domain::{Attempt, EndpointName, Status, UnixMillis};

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * 60 * 1_000;

/// Numbers of the deliveries of a period.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub total: Outcomes,
    /// By hour since the start of the period, the earliest first; the last may be shorter.
    pub hours: Vec<(UnixMillis, Outcomes)>,
    /// By name of the event.
    pub by_event: BTreeMap<String, Outcomes>,
    pub by_endpoint: BTreeMap<String, Outcomes>,
    /// Each hour of the period, by endpoint.
    pub endpoint_hours: BTreeMap<String, Vec<Outcomes>>,
}

/// Numbers of deliveries by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub success: u64,
    pub failed: u64,
    pub retrying: u64,
}

impl Outcomes {
    fn add(&mut self, status: Status, count: u64) {
        let number = match status {
            Status::Success => &mut self.success,
            Status::Failed => &mut self.failed,
            Status::Retrying => &mut self.retrying,
        };
        *number += count;
    }
}

/// Deliveries that a store has counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// Hours since the start of the period.
    pub hour: i64,
    pub event: String,
    pub endpoint: String,
    pub status: Status,
    pub count: u64,
}

impl Summary {
    /// Creates the summary of a period without deliveries.
    #[must_use]
    pub fn new(since: UnixMillis, until: UnixMillis) -> Self {
        let starts = iter::successors(Some(since.get()), |at| at.checked_add(HOUR_MS));
        let starts = starts.take_while(|at| *at < until.get());
        Self {
            hours: starts
                .map(|at| (UnixMillis::new(at), Outcomes::default()))
                .collect(),
            ..Self::default()
        }
    }

    /// Returns the hour of the period that a time is in.
    #[must_use]
    pub const fn hour(since: UnixMillis, time: UnixMillis) -> i64 {
        time.get().saturating_sub(since.get()).div_euclid(HOUR_MS)
    }

    /// Adds deliveries.
    pub fn add(&mut self, tally: Tally) {
        let all = self.hours.len();
        let endpoint_hours = self.endpoint_hours.entry(tally.endpoint.clone());
        let endpoint_hours = endpoint_hours.or_insert_with(|| vec![Outcomes::default(); all]);
        let hour = usize::try_from(tally.hour).ok();
        let hours = [
            hour.and_then(|hour| endpoint_hours.get_mut(hour)),
            hour.and_then(|hour| self.hours.get_mut(hour))
                .map(|(_, outcomes)| outcomes),
        ];
        let groups = [
            &mut self.total,
            self.by_event.entry(tally.event).or_default(),
            self.by_endpoint.entry(tally.endpoint).or_default(),
        ];
        for outcomes in groups.into_iter().chain(hours.into_iter().flatten()) {
            outcomes.add(tally.status, tally.count);
        }
    }
}

/// Endpoint of recent deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentEndpoint {
    pub endpoint: EndpointName,
    /// URL of the newest delivery, without secrets.
    pub webhook_url: String,
    /// Median duration of an attempt.
    pub p50_ms: i64,
    /// Duration that 95 % of the attempts do not exceed.
    pub p95_ms: i64,
}

impl RecentEndpoint {
    /// Groups recent deliveries, the newest first, by endpoint.
    pub fn group(
        deliveries: impl IntoIterator<Item = (EndpointName, String, Vec<Attempt>)>,
    ) -> Vec<Self> {
        let mut endpoints: BTreeMap<EndpointName, (String, Vec<i64>)> = BTreeMap::new();
        for (endpoint, url, attempts) in deliveries {
            let (_, durations) = endpoints.entry(endpoint).or_insert((url, Vec::new()));
            durations.extend(attempts.iter().map(|attempt| attempt.duration_ms));
        }
        let recent = endpoints.into_iter();
        let recent = recent.map(|(endpoint, (webhook_url, mut durations))| {
            durations.sort_unstable();
            Self {
                endpoint,
                webhook_url,
                p50_ms: percentile(&durations, 50),
                p95_ms: percentile(&durations, 95),
            }
        });
        recent.collect()
    }
}

/// Returns the smallest value that `percent` % of the sorted values do not exceed.
fn percentile(sorted: &[i64], percent: usize) -> i64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_is_the_smallest_value_that_the_share_does_not_exceed() {
        let hundred: Vec<_> = (1..=100).collect();
        assert_eq!(
            (percentile(&hundred, 50), percentile(&hundred, 95)),
            (50, 95)
        );
        assert_eq!((percentile(&[7], 50), percentile(&[7], 95)), (7, 7));
        assert_eq!((percentile(&[1, 9], 50), percentile(&[1, 9], 95)), (1, 9));
        assert_eq!(percentile(&[], 95), 0);
    }

    #[test]
    fn summary_counts_by_hour_event_and_endpoint() {
        let since = UnixMillis::new(500);
        let mut summary = Summary::new(since, UnixMillis::new(500 + 2 * HOUR_MS + 1));
        for (after, event, status, count) in [
            (0, "call", Status::Success, 3),
            (HOUR_MS - 1, "call", Status::Failed, 1),
            (2 * HOUR_MS, "message", Status::Retrying, 2),
        ] {
            summary.add(Tally {
                hour: Summary::hour(since, UnixMillis::new(500 + after)),
                event: event.to_owned(),
                endpoint: "crm".to_owned(),
                status,
                count,
            });
        }
        let outcomes = |success, failed, retrying| Outcomes {
            success,
            failed,
            retrying,
        };
        let hours: Vec<_> = summary.hours.iter().map(|(_, hour)| *hour).collect();
        assert_eq!(
            hours,
            [outcomes(3, 1, 0), outcomes(0, 0, 0), outcomes(0, 0, 2)]
        );
        assert_eq!(summary.endpoint_hours["crm"], hours);
        assert_eq!(summary.hours[1].0, UnixMillis::new(500 + HOUR_MS));
        assert_eq!(summary.total, outcomes(3, 1, 2));
        assert_eq!(summary.by_endpoint["crm"], outcomes(3, 1, 2));
        assert_eq!(summary.by_event["call"], outcomes(3, 1, 0));
        assert_eq!(summary.by_event["message"], outcomes(0, 0, 2));
    }
}
