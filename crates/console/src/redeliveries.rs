//! `POST /redeliveries`: sends deliveries again, as a job.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use wahook_delivery_log::SearchFilter;
use wahook_domain::{EndpointName, EventId};
use wahook_runtime::{
    clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::{self, Operator},
    endpoints::Endpoints,
    failure::Failure,
    jobs::{Jobs, Kind, Start},
    jobs_api::{Counted, Started},
    redelivery_job::JobOrder,
    redelivery_order::{RedeliveryOrder, Selection, Target, one_of_each_event},
    refusals::Acting,
};

/// Deliveries of one job.
const MOST_DELIVERIES: usize = 100_000;
/// Deliveries in one search.
const PAGE: usize = 1_000;

/// State of the handler.
#[derive(Clone)]
pub(crate) struct Redeliveries {
    pub(crate) endpoints: Endpoints,
    pub(crate) jobs: Arc<Jobs>,
}

/// Deliveries that were selected.
struct Selected {
    targets: Vec<Target>,
    /// Events that the log does not have.
    not_logged: Vec<EventId>,
}

/// Send deliveries again, also delivered ones
///
/// Each keeps its event id, has the header `X-Webhook-Redelivery: true`, and begins at attempt
/// 1. Deliveries whose exact body the log does not have are counted as failed by the job.
#[utoipa::path(
    post,
    path = "/api/v1/redeliveries",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    request_body = RedeliveryOrder,
    responses(
        (status = 200, description = "Number of deliveries, with `dryRun`", body = Counted),
        (status = 202, description = "The job was started", body = Started),
        (status = 400, description = "Neither ids nor a filter with a time range, too many, an unknown endpoint, or not JSON", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The log is unavailable or too slow, or too many jobs run", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn post(
    State(state): State<Redeliveries>,
    Extension(operator): Extension<Operator>,
    body: Result<Json<RedeliveryOrder>, JsonRejection>,
) -> Result<Response, Failure> {
    let Json(order) = body?;
    let (is_dry, rate, to) = (order.dry_run, order.rate()?, order.endpoint()?);
    let selection = order.selection(clock::now())?;
    if let Some(to) = &to {
        state.check_endpoint(to).await?;
    }
    let subject = selection.subject();
    let mut selected = state.select(selection).await?;
    if to.is_some() {
        one_of_each_event(&mut selected.targets);
    }
    if is_dry {
        let count = selected.count();
        return Ok(Json(Counted { count }).into_response());
    }
    let subject = match &to {
        Some(to) => format!("to {to}: {subject}"),
        None => subject,
    };
    let of_record = (selected.count(), clock::now());
    let records = &state.endpoints.operator;
    audit::record(
        records,
        &operator,
        Kind::Redelivery.name(),
        subject,
        of_record,
    )
    .await?;
    let count = selected.count();
    let order = JobOrder {
        to: to.map(|to| to.to_string()),
        rate,
    };
    let start = Start {
        kind: Kind::Redelivery,
        count,
        // Texts and numbers always have a JSON form.
        order: serde_json::to_string(&order).unwrap_or_default(),
        items: selected.items(),
    };
    let job = state.jobs.start(start, &operator).await?;
    Ok((StatusCode::ACCEPTED, Json(Started { job, count })).into_response())
}

impl Selected {
    fn count(&self) -> u64 {
        let count = self.targets.len().saturating_add(self.not_logged.len());
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// Returns the items of the job: `EVENT_ID/ENDPOINT`, or `EVENT_ID` for an event that the
    /// log does not have.
    fn items(&self) -> Vec<String> {
        let targets = self.targets.iter().map(ToString::to_string);
        let not_logged = self.not_logged.iter().map(ToString::to_string);
        not_logged.chain(targets).collect()
    }
}

impl Redeliveries {
    async fn check_endpoint(&self, to: &EndpointName) -> Result<(), Failure> {
        if self.endpoints.knows(to).await? {
            return Ok(());
        }
        let known = self.endpoints.read().await?;
        let names: Vec<_> = known.iter().map(|known| known.name.as_str()).collect();
        let names = names.join(", ");
        let detail = format!("there is no endpoint {to}; the known ones are: {names}");
        Err(Failure::invalid(detail))
    }

    /// Returns the selected deliveries, the oldest first.
    async fn select(&self, selection: Selection) -> Result<Selected, Failure> {
        let (mut targets, mut not_logged) = (Vec::new(), Vec::new());
        match selection {
            Selection::Filter(filter) => {
                self.search(*filter, &mut targets).await?;
                targets.reverse();
            }
            Selection::Ids(ids) => {
                for id in ids {
                    let Some(endpoint) = id.endpoint else {
                        let filter = SearchFilter {
                            event_id: Some(id.event_id.to_string()),
                            ..SearchFilter::default()
                        };
                        if self.search(filter, &mut targets).await? == 0 {
                            not_logged.push(id.event_id);
                        }
                        continue;
                    };
                    let event_id = id.event_id;
                    targets.push(Target { event_id, endpoint });
                }
                targets.sort_unstable();
                targets.dedup();
            }
        }
        Ok(Selected {
            targets,
            not_logged,
        })
    }

    /// Adds all deliveries that match, the newest first, and returns their number.
    async fn search(
        &self,
        filter: SearchFilter,
        targets: &mut Vec<Target>,
    ) -> Result<usize, Failure> {
        let (mut cursor, before) = (None, targets.len());
        loop {
            let log = &self.endpoints.log;
            let page = log.search(filter.clone(), cursor, PAGE).await?;
            targets.extend(page.deliveries.iter().map(Target::from));
            if targets.len() > MOST_DELIVERIES {
                return Err(Failure::invalid(format!(
                    "more than {MOST_DELIVERIES} deliveries match: narrow the filter"
                )));
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(targets.len().saturating_sub(before));
            }
        }
    }
}
