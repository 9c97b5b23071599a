//! `/stats`: numbers of deliveries.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wahook_delivery_log::{Outcomes, Summary};
use wahook_domain::UnixMillis;
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{failure::Failure, log::Log, query, refusals::Reading};

/// Longest period.
const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// Period of the numbers.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StatsQuery {
    /// Earliest time of acceptance: ISO 8601, or a time ago such as `24h`, the default
    since: Option<String>,
    /// Time before which the events were accepted; by default now
    until: Option<String>,
}

/// Numbers of the deliveries whose events were accepted in a period.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Stats {
    since: String,
    until: String,
    #[serde(flatten)]
    total: Numbers,
    by_event: Vec<EventNumbers>,
    by_endpoint: Vec<EndpointNumbers>,
    /// From the start of the period on; the last hour may be shorter
    hours: Vec<HourNumbers>,
}

/// Numbers of deliveries by status.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct Numbers {
    pub(crate) success: u64,
    pub(crate) failed: u64,
    pub(crate) retrying: u64,
}

/// Numbers of an event's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventNumbers {
    event: String,
    #[serde(flatten)]
    numbers: Numbers,
}

/// Numbers of an endpoint's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndpointNumbers {
    endpoint: String,
    #[serde(flatten)]
    numbers: Numbers,
    /// Each hour of the period
    hours: Vec<HourNumbers>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HourNumbers {
    /// Start of the hour
    at: String,
    #[serde(flatten)]
    numbers: Numbers,
}

/// Count deliveries by status, event, endpoint and hour
#[utoipa::path(
    get,
    path = "/api/v1/stats",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    params(StatsQuery),
    responses(
        (status = 200, description = "Numbers", body = Stats),
        (status = 400, description = "Unknown or invalid query, or more than 31 days", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log is unavailable, or took too long", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn get(
    State(log): State<Log>,
    query: Result<Query<StatsQuery>, QueryRejection>,
) -> Result<Json<Stats>, Failure> {
    let Query(StatsQuery { since, until }) = query?;
    let (since, until) = query::period(since, until, clock::now(), LONGEST)?;
    let summary = log.summary(since, until).await?;
    Ok(Json(Stats::of(summary, since, until)))
}

impl Stats {
    fn of(mut summary: Summary, since: UnixMillis, until: UnixMillis) -> Self {
        let starts: Vec<_> = summary.hours.iter().map(|(at, _)| *at).collect();
        let all_hours = summary.hours.into_iter();
        let mut endpoint_hours = |name: &str| {
            let outcomes = summary.endpoint_hours.remove(name).unwrap_or_default();
            let hours = starts.iter().copied().zip(outcomes);
            hours.map(HourNumbers::from).collect()
        };
        let events = in_pairs(summary.by_event);
        let endpoints = in_pairs(summary.by_endpoint);
        Self {
            since: since.to_iso8601(),
            until: until.to_iso8601(),
            total: summary.total.into(),
            by_event: events
                .map(|(event, numbers)| EventNumbers { event, numbers })
                .collect(),
            by_endpoint: endpoints
                .map(|(endpoint, numbers)| EndpointNumbers {
                    hours: endpoint_hours(&endpoint),
                    endpoint,
                    numbers,
                })
                .collect(),
            hours: all_hours.map(HourNumbers::from).collect(),
        }
    }
}

impl From<(UnixMillis, Outcomes)> for HourNumbers {
    fn from((at, outcomes): (UnixMillis, Outcomes)) -> Self {
        Self {
            at: at.to_iso8601(),
            numbers: outcomes.into(),
        }
    }
}

fn in_pairs(groups: BTreeMap<String, Outcomes>) -> impl Iterator<Item = (String, Numbers)> {
    let groups = groups.into_iter();
    groups.map(|(name, outcomes)| (name, outcomes.into()))
}

impl From<Outcomes> for Numbers {
    fn from(outcomes: Outcomes) -> Self {
        Self {
            success: outcomes.success,
            failed: outcomes.failed,
            retrying: outcomes.retrying,
        }
    }
}
