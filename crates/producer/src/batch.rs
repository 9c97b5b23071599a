//! A batch: each line is an event by itself, answered in its order.

use axum::{
    body::Bytes,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use crate::{
    budget::Hold,
    event_service::{EventService, Taken},
    headers::NDJSON,
    problem::Problem,
};

/// Lines of one batch that wait for their confirms at once.
const WINDOW: usize = 256;
/// Lines of one batch: the answer to a line can be far longer than the line.
const MAX_LINES: usize = 10_000;
/// What the answer to a line takes without warnings and errors.
const BARE_LINE_BYTES: usize = 384;

/// One line of the answer to a batch.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum LineAnswer {
    Taken {
        status: u16,
        #[serde(flatten)]
        taken: Taken,
    },
    Refused(Problem),
}

/// A [`LineAnswer`] in JSON, and what it means for the whole.
struct Line {
    text: Vec<u8>,
    /// For its warnings or errors, where it has any.
    hold: Option<Hold>,
    refused: bool,
    repeatable: Option<Problem>,
}

impl EventService {
    /// Takes each line by itself and answers in their order. The answer's own
    /// status tells a gateway what to do without reading it: 202 all are taken;
    /// 503 some can be had by repeating; 207 some are wrong.
    pub(crate) async fn batch(
        &self,
        body: Bytes,
        traceparent: Option<String>,
    ) -> Result<Response, Problem> {
        // One more would be too many: no more are looked for.
        let lines: Vec<Bytes> = lines(&body).take(MAX_LINES + 1).collect();
        drop(body);
        if lines.len() > MAX_LINES {
            return Err(Problem::too_many_lines(MAX_LINES));
        }
        // Taken first: once a line is published it must be answered.
        let hold = self.budget.hold(lines.len() * BARE_LINE_BYTES);
        let mut hold = hold.map_err(Problem::no_memory)?;
        self.metrics.batches.inc();

        let answers = stream::iter(lines)
            .map(|line| self.line(line, traceparent.clone()))
            .buffered(WINDOW);
        let mut answers = std::pin::pin!(answers);
        let mut text = Vec::new();
        let (mut refused, mut repeatable) = (false, None);
        while let Some(line) = answers.next().await {
            text.extend(line.text);
            text.push(b'\n');
            line.hold.into_iter().for_each(|more| hold.join(more));
            refused |= line.refused;
            repeatable = line.repeatable.or(repeatable);
        }
        let status = match (&repeatable, refused) {
            (Some(_), _) => StatusCode::SERVICE_UNAVAILABLE,
            (None, true) => StatusCode::MULTI_STATUS,
            (None, false) => StatusCode::ACCEPTED,
        };
        let media_type = [(header::CONTENT_TYPE, NDJSON)];
        let mut response = (status, media_type, hold.keep(text)).into_response();
        if let Some(problem) = repeatable {
            problem.add_header(&mut response);
        }
        Ok(response)
    }

    async fn line(&self, line: Bytes, traceparent: Option<String>) -> Line {
        let answer = match self.take(line, None, traceparent).await {
            Ok(taken) => LineAnswer::Taken {
                status: taken.status().as_u16(),
                taken,
            },
            Err(problem) => {
                self.count(&problem);
                LineAnswer::Refused(problem)
            }
        };
        let mut line = Line {
            text: answer.to_json(),
            hold: None,
            refused: matches!(answer, LineAnswer::Refused(_)),
            repeatable: answer.repeatable(),
        };
        if line.text.len() > BARE_LINE_BYTES {
            match self.budget.hold(line.text.len() - BARE_LINE_BYTES) {
                Ok(hold) => line.hold = Some(hold),
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

    fn repeatable(&self) -> Option<Problem> {
        match self {
            Self::Refused(problem) if problem.can_be_repeated() => Some(problem.clone()),
            _ => None,
        }
    }

    /// Without warnings and errors, which have no bound worth reserving.
    fn bare(self) -> Self {
        match self {
            Self::Taken { status, taken } => Self::Taken {
                status,
                taken: taken.without_warnings(),
            },
            Self::Refused(problem) => Self::Refused(problem.without_errors()),
        }
    }
}

/// The lines that are not blank, sharing the body's memory.
fn lines(body: &Bytes) -> impl Iterator<Item = Bytes> {
    body.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
        .map(|line| body.slice_ref(line))
}
