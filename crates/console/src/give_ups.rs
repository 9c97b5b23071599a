//! `POST /deliveries/…/give-up`: ends the delivery of an event that holds its key, as a job.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Extension, Json,
    extract::{Path, State, rejection::PathRejection},
    http::StatusCode,
};
use tokio::time::sleep;
use wahook_admin::endpoints::held::{self, Delivery, GivenUp, HeldDelivery, Reading};
use wahook_domain::{EndpointName, EventId};
use wahook_operator_state::{Order, Progress, SharedOperatorState};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::Operator,
    claimed::Claimed,
    deliveries::not_found,
    failure::Failure,
    jobs::{Jobs, Kind, Start},
    jobs_api::Started,
    log::Log,
    redelivery_order::{Id, Target},
    refusals::Acting,
};

/// Interval of checks for a stop.
const STOP_EACH: Duration = Duration::from_millis(200);

/// Give up an event that holds its key
///
/// For an endpoint with an order: the event becomes a dead letter, and the next event of its key
/// is delivered. The job fails if the event does not wait for a retry.
#[utoipa::path(
    post,
    path = "/api/v1/deliveries/{eventId}/{endpoint}/give-up",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    params(
        ("eventId" = String, Path, description = "Id of the event"),
        ("endpoint" = String, Path, description = "Name of the endpoint"),
    ),
    request_body(content = Object, description = "`{}`"),
    responses(
        (status = 202, description = "The job was started", body = Started),
        (status = 400, description = "Invalid characters in the path", body = Problem, content_type = MEDIA_TYPE),
        (status = 404, description = "The log has no such delivery", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log is unavailable, or too many jobs run", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn post(
    State((log, jobs)): State<(Log, Arc<Jobs>)>,
    path: Result<Path<(String, String)>, PathRejection>,
    Extension(operator): Extension<Operator>,
) -> Result<(StatusCode, Json<Started>), Failure> {
    let Path((id, endpoint)) = path?;
    let event_id = EventId::parse(&id).map_err(|_| not_found())?;
    let endpoint = EndpointName::parse(&endpoint).map_err(|_| not_found())?;
    let logged = log.delivery(event_id.clone(), endpoint.clone()).await?;
    logged.ok_or_else(not_found)?;
    let target = Target { event_id, endpoint };
    tracing::info!(who = operator.0, action = Kind::GiveUp.name(), subject = %target, count = 1, "console: action of an operator");
    let start = Start {
        kind: Kind::GiveUp,
        count: 1,
        order: String::new(),
        items: vec![target.to_string()],
    };
    let job = jobs.start(start, &operator).await?;
    Ok((StatusCode::ACCEPTED, Json(Started { job, count: 1 })))
}

/// Work of the jobs.
#[derive(Clone)]
pub(crate) struct GiveUps {
    pub(crate) log: Log,
    pub(crate) operator: SharedOperatorState,
}

impl GiveUps {
    /// Gives up the event of the job. Its order is recorded as the action.
    pub(crate) async fn run(&self, claimed: &Claimed) -> anyhow::Result<()> {
        let items = claimed.items(0).await?;
        let target = items
            .first()
            .and_then(|item| Id::parse(item).ok()?.target());
        let held = InLog {
            log: &self.log,
            target: target.context("the job has no delivery")?,
        };
        let order = |request| Order {
            endpoint: held.target.endpoint.clone(),
            request,
            by: claimed.job.who.clone(),
            at: clock::now(),
        };
        let stop = async {
            while !claimed.is_stopped() {
                sleep(STOP_EACH).await;
            }
        };
        // An earlier claim of the job may have given the order.
        let is_repeated = claimed.is_resumed;
        let given_up = held::give_up(&held, &*self.operator, is_repeated, &order, stop).await;
        let given_up = match given_up {
            Err(_) if claimed.is_stopped() => return Ok(()),
            given_up => given_up?,
        };
        if given_up == GivenUp::Delivered {
            anyhow::bail!("the event was delivered meanwhile");
        }
        claimed.set_progress(Progress {
            done: 1,
            ..Progress::default()
        });
        Ok(())
    }
}

/// Delivery in the log of the console.
struct InLog<'a> {
    log: &'a Log,
    target: Target,
}

impl HeldDelivery for InLog<'_> {
    fn event(&self) -> &EventId {
        &self.target.event_id
    }

    fn endpoint(&self) -> &EndpointName {
        &self.target.endpoint
    }

    fn read(&self) -> Reading<'_> {
        let Target { event_id, endpoint } = self.target.clone();
        Box::pin(async {
            let logged = self.log.delivery(event_id, endpoint).await;
            let logged = logged.map_err(|_| anyhow::anyhow!("the delivery log is unavailable"))?;
            Ok(logged.map_or(Delivery::Unknown, |logged| {
                Delivery::of(logged.found.status, logged.found.next_attempt_at)
            }))
        })
    }
}
