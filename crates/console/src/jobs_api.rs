//! `/jobs`: progress of jobs, and their cancellation.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;
use wahook_operator_state::SharedOperatorState;
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::{self, Operator},
    failure::Failure,
    jobs::{JobShape, Jobs},
    refusals::Reading,
};

/// Jobs that run, and the newest that have ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The newest first
    jobs: Vec<JobShape>,
}

/// Number of selected deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Counted {
    pub(crate) count: u64,
}

/// Job that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Started {
    /// Id of the job
    pub(crate) job: String,
    pub(crate) count: u64,
}

/// State of the handlers.
#[derive(Clone)]
pub(crate) struct JobsState {
    pub(crate) jobs: Arc<Jobs>,
    pub(crate) operator: SharedOperatorState,
}

/// List jobs
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "All jobs that run, and the newest 100 that have ended", body = JobList),
        (status = 503, description = "The log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn list(State(state): State<JobsState>) -> Result<Json<JobList>, Failure> {
    let jobs = state.jobs.all().await?;
    Ok(Json(JobList { jobs }))
}

/// Show a job
#[utoipa::path(
    get,
    path = "/api/v1/jobs/{job}",
    tag = "jobs",
    security(("bearer" = []), ("cookie" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses(
        (status = 200, description = "The job", body = JobShape),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such job", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn show(
    State(state): State<JobsState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<JobShape>, Failure> {
    let job = state.jobs.find(&id?).await?;
    job.map(Json).ok_or_else(unknown)
}

/// Cancel a job
///
/// Has no effect on a job that ended. What the job has done is not undone. Recorded as `cancel`,
/// with the number of deliveries that were left.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{job}",
    tag = "jobs",
    security(("bearer" = []), ("cookie" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses(
        (status = 202, description = "The job ends soon", body = JobShape),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 403, description = "The token can only read", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such job", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log's database is unavailable", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn cancel(
    State(state): State<JobsState>,
    Extension(operator): Extension<Operator>,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<JobShape>), Failure> {
    let id = id?;
    let job = state.jobs.find(&id).await?.ok_or_else(unknown)?;
    if job.is_running() {
        let of_record = (job.left(), clock::now());
        let subject = format!("job {}", *id);
        audit::record(&state.operator, &operator, "cancel", subject, of_record).await?;
    }
    let job = state.jobs.cancel(&id).await?.ok_or_else(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(job)))
}

fn unknown() -> Failure {
    let title = "There is no such job";
    let detail = "ended jobs are kept for a while, the newest 100";
    Failure::new(StatusCode::NOT_FOUND, "no-job", title, detail)
}
