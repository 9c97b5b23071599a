//! `POST /dead-letters/…`: redrive and removal of dead letters, as jobs.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wahook_domain::UnixMillis;
use wahook_operator_state::SharedOperatorState;
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::{self, Operator},
    failure::Failure,
    jobs::{Jobs, Kind, Start},
    jobs_api::Started,
    letter_filter::LetterFilter,
    query,
    queues::Queues,
    refusals::Acting,
};

/// Ids in one request.
const MOST_IDS: usize = 10_000;

/// Longest part of a filter, in bytes, which a job stores.
const LONGEST_TEXT: usize = 4_096;

/// State of the handlers.
#[derive(Clone)]
pub(crate) struct LetterJobs {
    pub(crate) queues: Arc<Queues>,
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) operator: SharedOperatorState,
}

/// Selection of dead letters: ids, or a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct LetterSelection {
    /// `EVENT_ID/ENDPOINT`, or `EVENT_ID` for all endpoints
    ids: Option<Vec<String>>,
    /// Empty for all dead letters
    filter: Option<LetterFilterShape>,
    /// Only count
    #[serde(default)]
    dry_run: bool,
}

/// Filter for dead letters; all parts that are given must match.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LetterFilter)]
pub(crate) struct LetterFilterShape {
    endpoint: Option<String>,
    event: Option<String>,
    reason: Option<String>,
    /// Only those that died up to this time, or duration ago: the one of an answer to `dryRun`
    /// selects what was counted
    until: Option<String>,
}

/// Number of selected dead letters.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountedLetters {
    count: u64,
    /// Time of the count
    until: String,
}

/// Send dead letters to their endpoints again, from attempt 1 with the same id
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/redrive",
    tag = "dead letters",
    security(("bearer" = []), ("cookie" = [])),
    request_body = LetterSelection,
    responses(
        (status = 200, description = "Number of dead letters, with `dryRun`", body = CountedLetters),
        (status = 202, description = "The job was started", body = Started),
        (status = 400, description = "Neither ids nor a filter, or not JSON", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The broker or the log's database is unavailable, or too many jobs run", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn redrive(
    State(state): State<LetterJobs>,
    Extension(operator): Extension<Operator>,
    body: Result<Json<LetterSelection>, JsonRejection>,
) -> Result<Response, Failure> {
    state.run(Kind::Redrive, operator, body?.0).await
}

/// Remove dead letters permanently
#[utoipa::path(
    post,
    path = "/api/v1/dead-letters/discard",
    tag = "dead letters",
    security(("bearer" = []), ("cookie" = [])),
    request_body = LetterSelection,
    responses(
        (status = 200, description = "Number of dead letters, with `dryRun`", body = CountedLetters),
        (status = 202, description = "The job was started", body = Started),
        (status = 400, description = "Neither ids nor a filter, or not JSON", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The broker or the log's database is unavailable, or too many jobs run", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn discard(
    State(state): State<LetterJobs>,
    Extension(operator): Extension<Operator>,
    body: Result<Json<LetterSelection>, JsonRejection>,
) -> Result<Response, Failure> {
    state.run(Kind::Discard, operator, body?.0).await
}

impl LetterSelection {
    fn into_filter(self, now: UnixMillis) -> Result<LetterFilter, Failure> {
        match (self.ids, self.filter) {
            (Some(ids), None) if (1..=MOST_IDS).contains(&ids.len()) => {
                Ok(LetterFilter::of_ids(BTreeSet::from_iter(ids)))
            }
            (None, Some(filter)) => {
                let LetterFilterShape {
                    endpoint,
                    event,
                    reason,
                    until,
                } = filter;
                let texts = [&endpoint, &event, &reason];
                let is_long = |text: &&Option<String>| {
                    text.as_ref().is_some_and(|text| text.len() > LONGEST_TEXT)
                };
                if texts.iter().any(is_long) {
                    let detail =
                        format!("each part of the filter has at most {LONGEST_TEXT} bytes");
                    return Err(Failure::invalid(detail));
                }
                let until = query::moment("until", until, now)?;
                Ok(LetterFilter::new(endpoint, event, reason).with_until(until))
            }
            _ => Err(Failure::invalid(format!(
                "send either ids, 1 to {MOST_IDS}, or a filter; an empty filter selects all"
            ))),
        }
    }
}

impl LetterJobs {
    async fn run(
        self,
        kind: Kind,
        operator: Operator,
        selection: LetterSelection,
    ) -> Result<Response, Failure> {
        let is_dry = selection.dry_run;
        let now = clock::now();
        let filter = selection.into_filter(now)?;
        let read = self.queues.dead_letters().await?;
        let letters = read.letters.iter();
        let count = letters.filter(|letter| filter.matches(letter)).count();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        if is_dry {
            let until = now.to_iso8601();
            return Ok(Json(CountedLetters { count, until }).into_response());
        }
        let of_record = (count, clock::now());
        let subject = filter.subject();
        audit::record(&self.operator, &operator, kind.name(), subject, of_record).await?;
        let start = Start {
            kind,
            count,
            // Texts always have a JSON form.
            order: serde_json::to_string(&filter).unwrap_or_default(),
            items: filter.ids(),
        };
        let job = self.jobs.start(start, &operator).await?;
        Ok((StatusCode::ACCEPTED, Json(Started { job, count })).into_response())
    }
}
