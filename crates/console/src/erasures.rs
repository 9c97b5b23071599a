//! `POST /erasures`: removes the data of a person from log and dead letters.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{State, rejection::JsonRejection},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wahook_admin::erase::{Erased, Erasure, Person, PhoneNumber};
use wahook_delivery_log::LogEraser;
use wahook_domain::ChatId;
use wahook_operator_state::SharedOperatorState;
use wahook_runtime::{
    Shutdown, clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    audit::{self, Operator},
    failure::Failure,
    query::given,
    queues::Queues,
    refusals::Acting,
};

/// State of the handler.
#[derive(Clone)]
pub(crate) struct Erasures {
    pub(crate) eraser: Arc<dyn LogEraser>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) operator: SharedOperatorState,
    pub(crate) shutdown: Shutdown,
}

/// Person whose data is erased: a chat, or a phone number.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ErasureOrder {
    /// Id of the chat, such as `15550001111@c.us`
    chat: Option<String>,
    /// Phone number with country code
    number: Option<String>,
    /// Only count
    #[serde(default)]
    dry_run: bool,
}

/// Numbers of an erasure.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErasureShape {
    /// Records of the log without payload, chat, message and answers
    records: u64,
    /// Dead letters that were removed
    dead_letters: u64,
    /// Deliveries that are not concluded: their events and records are not erased
    retrying: u64,
    /// Only present, and true, if an automatic redrive has dead letters, which are not erased
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    partial: bool,
    dry_run: bool,
}

/// Remove the data of a person from log and dead letters
///
/// Records keep id, event, endpoint, source, session, status and times. The record of the action
/// does not name the person.
#[utoipa::path(
    post,
    path = "/api/v1/erasures",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    request_body = ErasureOrder,
    responses(
        (status = 200, description = "What was erased, or with `dryRun` what would be", body = ErasureShape),
        (status = 400, description = "Neither a chat nor a number, or not JSON", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "The broker or the log's database is unavailable, or a job runs on the dead letters. What was erased is not restored; repeat the request", body = Problem, content_type = MEDIA_TYPE),
        Acting,
    )
)]
pub(crate) async fn post(
    State(state): State<Erasures>,
    Extension(operator): Extension<Operator>,
    body: Result<Json<ErasureOrder>, JsonRejection>,
) -> Result<Json<ErasureShape>, Failure> {
    let Json(order) = body?;
    let (is_dry, person) = (order.dry_run, order.person()?);
    // It is continued if the client disconnects.
    let erasing = tokio::spawn(state.erase(person, operator, is_dry));
    let erased = erasing.await;
    let erased = erased.map_err(|_| Failure::busy("repeat the request"))??;
    let Erased {
        records,
        dead_letters,
        retrying,
        is_partial,
    } = erased;
    Ok(Json(ErasureShape {
        records,
        dead_letters,
        retrying,
        partial: is_partial,
        dry_run: is_dry,
    }))
}

impl ErasureOrder {
    fn person(self) -> Result<Person, Failure> {
        match (given(self.chat), given(self.number)) {
            (Some(chat), None) => {
                let chat: Result<ChatId, _> = chat.parse();
                let chat = chat.map_err(|error| Failure::invalid(format!("chat {error}")))?;
                Ok(Person::of_chat(&chat))
            }
            (None, Some(number)) => {
                let number: Result<PhoneNumber, _> = number.parse();
                let number = number.map_err(|error| Failure::invalid(format!("number {error}")))?;
                Ok(Person::of_number(&number))
            }
            _ => Err(Failure::invalid("send either chat or number")),
        }
    }
}

impl Erasures {
    async fn erase(
        self,
        person: Person,
        operator: Operator,
        is_dry: bool,
    ) -> Result<Erased, Failure> {
        let _lock = self.queues.lock_dead_letters().await?;
        let erasure = Erasure {
            person: &person,
            eraser: self.eraser.as_ref(),
            broker: self.queues.broker(),
            shutdown: &self.shutdown,
        };
        let unavailable = |error: anyhow::Error| Failure::erasure(&error);
        let found = erasure.count().await.map_err(unavailable)?;
        if is_dry {
            return Ok(found);
        }
        let of_record = (found.count(), clock::now());
        let subject = person.subject().to_owned();
        audit::record(&self.operator, &operator, "erase", subject, of_record).await?;
        erasure.run().await.map_err(unavailable)
    }
}
