//! `/jobs`: progress of jobs, and their cancellation.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;
use wahook_runtime::problem::{MEDIA_TYPE, Problem};

use crate::{
    failure::Failure,
    jobs::{Job, JobShape, Jobs, Kind},
};

/// Jobs since the start of the console.
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
    job: String,
    count: u64,
}

impl Started {
    /// Adds a job, with what its request is answered.
    pub(crate) fn start(jobs: &Jobs, kind: Kind, count: u64) -> Result<(Arc<Job>, Self), Failure> {
        let job = jobs.start(kind, count);
        let job = job.ok_or_else(|| Failure::busy("wait for jobs to end, or cancel them"))?;
        let started = Self {
            job: job.id().to_owned(),
            count,
        };
        Ok((job, started))
    }
}

/// List jobs
#[utoipa::path(
    get,
    path = "/api/v1/jobs",
    tag = "jobs",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "The newest 100 jobs since the start of the console", body = JobList),
        (status = 401, description = "Missing or wrong token", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(crate) async fn list(State(jobs): State<Arc<Jobs>>) -> Json<JobList> {
    let jobs = jobs.all();
    Json(JobList {
        jobs: jobs.iter().map(|job| job.shape()).collect(),
    })
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
        (status = 401, description = "Missing or wrong token", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such job", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(crate) async fn show(
    State(jobs): State<Arc<Jobs>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<JobShape>, Failure> {
    Ok(Json(find(&jobs, &id?)?.shape()))
}

/// Cancel a job
///
/// Has no effect on a job that ended. What the job has done is not undone.
#[utoipa::path(
    delete,
    path = "/api/v1/jobs/{job}",
    tag = "jobs",
    security(("bearer" = []), ("cookie" = [])),
    params(("job" = String, Path, description = "Id of the job")),
    responses(
        (status = 202, description = "The job ends soon", body = JobShape),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 401, description = "Missing or wrong token", body = Problem, content_type = MEDIA_TYPE),
        (status = 403, description = "The token can only read", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "No such job", body = Problem, content_type = MEDIA_TYPE),
    )
)]
pub(crate) async fn cancel(
    State(jobs): State<Arc<Jobs>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<(StatusCode, Json<JobShape>), Failure> {
    let job = find(&jobs, &id?)?;
    job.cancel();
    Ok((StatusCode::ACCEPTED, Json(job.shape())))
}

fn find(jobs: &Jobs, id: &str) -> Result<Arc<Job>, Failure> {
    jobs.find(id).ok_or_else(|| {
        let title = "There is no such job";
        let detail = "jobs are kept until the console stops, the newest 100";
        Failure::new(StatusCode::NOT_FOUND, "no-job", title, detail)
    })
}
