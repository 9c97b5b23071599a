//! Batches: each line is a separate event, and the answers have the order of
//! the lines.

use axum::{
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;
use tokio::task::unconstrained;
use wahook_runtime::ops::Refusal;

use crate::{
    budget::Reservation,
    event_service::{Accepted, EventService},
    headers::EventHeaders,
    media_type::NDJSON,
    problem::Problem,
};

/// Lines of one batch that wait for their confirms at once.
const WINDOW: usize = 256;
/// Limit of lines in a batch: the answer to a line can be far longer than the
/// line.
const MAX_LINES: usize = 10_000;
/// Bytes of the answer to a line without warnings and errors.
const BARE_LINE_BYTES: usize = 384;

/// Line of the answer to a batch.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum LineAnswer {
    Accepted {
        status: u16,
        #[serde(flatten)]
        accepted: Accepted,
    },
    Refused(Problem),
}

/// [`LineAnswer`] in JSON, with its effect on the whole answer.
struct Line {
    text: Vec<u8>,
    /// Memory for its warnings or errors.
    reservation: Option<Reservation>,
    refused: bool,
    /// Cause, if repeating the line is useless.
    refusal: Option<Refusal>,
    repeatable: Option<Problem>,
}

impl EventService {
    /// Accepts each line by itself and answers in their order. A gateway can
    /// act on the status of the whole answer: 202 all are accepted; 503 some
    /// succeed when repeated; 207 some are invalid.
    pub(crate) async fn batch(
        &self,
        body: Bytes,
        headers: EventHeaders,
    ) -> Result<Response, Problem> {
        // Reading stops after one line too many.
        let lines: Vec<Bytes> = lines(&body).take(MAX_LINES + 1).collect();
        drop(body);
        if lines.len() > MAX_LINES {
            return Err(Problem::too_many_lines(MAX_LINES));
        }
        // Reserved first: once a line is published it must be answered.
        let reservation = self.answers.reserve(lines.len() * BARE_LINE_BYTES);
        let mut reservation = reservation.map_err(Problem::no_memory)?;
        self.metrics.batches.inc();

        let answers = stream::iter(lines)
            // Unconstrained, so that tokio's budget does not change the order of the publishes.
            .map(|line| unconstrained(self.line(line, headers.clone())))
            .buffered(WINDOW);
        let mut answers = std::pin::pin!(answers);
        let mut text = Vec::new();
        let (mut refused, mut refusal, mut repeatable) = (false, None, None);
        while let Some(line) = answers.next().await {
            text.extend(line.text);
            text.push(b'\n');
            line.reservation
                .into_iter()
                .for_each(|more| reservation.merge(more));
            refused |= line.refused;
            refusal = refusal.or(line.refusal);
            repeatable = line.repeatable.or(repeatable);
        }
        let status = match (&repeatable, refused) {
            (Some(_), _) => StatusCode::SERVICE_UNAVAILABLE,
            (None, true) => StatusCode::MULTI_STATUS,
            (None, false) => StatusCode::ACCEPTED,
        };
        let media_type = [(header::CONTENT_TYPE, NDJSON)];
        let mut response = (status, media_type, reservation.attach(text)).into_response();
        // The log shows the first refused line only.
        if let Some(refusal) = refusal {
            response.extensions_mut().insert(refusal);
        }
        if let Some(problem) = repeatable {
            problem.add_header(&mut response);
        }
        Ok(response)
    }

    async fn line(&self, line: Bytes, headers: EventHeaders) -> Line {
        let answer = match self.accept(line, None, headers).await {
            Ok(accepted) => LineAnswer::Accepted {
                status: accepted.status().as_u16(),
                accepted,
            },
            Err(problem) => {
                self.count(&problem);
                LineAnswer::Refused(problem)
            }
        };
        let mut line = Line {
            text: answer.to_json(),
            reservation: None,
            refused: matches!(answer, LineAnswer::Refused(_)),
            refusal: answer.refusal(),
            repeatable: answer.repeatable(),
        };
        if line.text.len() > BARE_LINE_BYTES {
            match self.answers.reserve(line.text.len() - BARE_LINE_BYTES) {
                Ok(reservation) => line.reservation = Some(reservation),
                Err(_) => line.text = answer.bare().to_json(),
            }
        }
        line
    }
}

impl LineAnswer {
    fn to_json(&self) -> Vec<u8> {
        // Strings and numbers always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }

    fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused(problem) if !problem.can_be_repeated() => Some(problem.refusal()),
            _ => None,
        }
    }

    fn repeatable(&self) -> Option<Problem> {
        match self {
            Self::Refused(problem) if problem.can_be_repeated() => Some(problem.clone()),
            _ => None,
        }
    }

    /// Removes warnings and errors, which have no bound worth reserving.
    fn bare(self) -> Self {
        match self {
            Self::Accepted { status, accepted } => Self::Accepted {
                status,
                accepted: accepted.without_warnings(),
            },
            Self::Refused(problem) => Self::Refused(problem.without_errors()),
        }
    }
}

/// Returns the lines that are not blank, sharing the body's memory.
fn lines(body: &Bytes) -> impl Iterator<Item = Bytes> {
    body.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| body.slice_ref(line))
}
