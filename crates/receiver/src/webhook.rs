//! Handling of a request to a webhook's path.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header::RETRY_AFTER, request::Parts},
    response::{IntoResponse, Response},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use wahook_runtime::{Shutdown, clock};

use crate::{
    answer::Answer,
    history::AnswerState,
    request::{Cut, Request},
    state::State,
};

/// Limit for a body in bytes: the largest event that the producer can be configured to accept.
const MAX_BODY: usize = 15 << 20;
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// Bodies read at once; further ones wait. Together with [`MAX_BODY`] this bounds the memory
/// for requests that are not in the history yet.
const BODIES_AT_ONCE: usize = 16;

/// Receives requests and answers them by the rule.
#[derive(Debug)]
pub(crate) struct Webhook {
    state: Arc<State>,
    readers: Semaphore,
    shutdown: Shutdown,
}

impl Webhook {
    pub(crate) fn new(state: Arc<State>, shutdown: Shutdown) -> Self {
        Self {
            state,
            readers: Semaphore::new(BODIES_AT_ONCE),
            shutdown,
        }
    }

    /// Records the request once it is complete, then answers it.
    pub(crate) async fn answer(&self, request: axum::extract::Request) -> Response {
        let (head, body) = request.into_parts();
        let read = self.read(body).await;
        let (body, cut) = match read {
            Ok(body) => (body, None),
            Err(cut) => (Bytes::new(), Some(cut)),
        };
        let (number, answer) = self
            .state
            .receive(record(head, body, cut), cut.map(refusal));
        if !answer.delay.is_zero() {
            let pending = Pending {
                state: &self.state,
                number,
                answer_state: AnswerState::Abandoned,
            };
            self.wait(answer.delay, pending).await;
        }
        respond(answer)
    }

    async fn read(&self, body: Body) -> Result<Bytes, Cut> {
        // The semaphore is never closed.
        let _permit = self.readers.acquire().await;
        let collected = timeout(BODY_WITHIN, Limited::new(body, MAX_BODY).collect()).await;
        match collected {
            Ok(Ok(whole)) => Ok(whole.to_bytes()),
            Ok(Err(error)) if error.downcast_ref::<LengthLimitError>().is_some() => {
                Err(Cut::TooLarge)
            }
            Ok(Err(error)) => {
                tracing::debug!(error, "request body interrupted");
                Err(Cut::BrokenOff)
            }
            Err(_elapsed) => Err(Cut::TooSlow),
        }
    }

    /// Waits for the delay; a stop ends it.
    async fn wait(&self, delay: Duration, mut pending: Pending<'_>) {
        tokio::select! {
            () = sleep(delay) => {}
            () = self.shutdown.soft() => {}
        }
        pending.answer_state = AnswerState::Given;
    }
}

/// Delayed answer. Dropped when the sender disconnects.
struct Pending<'a> {
    state: &'a State,
    number: u64,
    answer_state: AnswerState,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.state.set_answer_state(self.number, self.answer_state);
    }
}

fn record(head: Parts, body: Bytes, cut: Option<Cut>) -> Request {
    let target = head.uri.path_and_query();
    Request {
        arrived: clock::now(),
        method: head.method,
        target: target.map_or_else(|| head.uri.to_string(), ToString::to_string),
        headers: head.headers,
        body,
        cut,
    }
}

fn refusal(cut: Cut) -> Answer {
    let status = match cut {
        Cut::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Cut::BrokenOff => StatusCode::BAD_REQUEST,
        Cut::TooSlow => StatusCode::REQUEST_TIMEOUT,
    };
    Answer::status(status.as_u16())
}

fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let retry_after = answer
        .retry_after
        .map(|seconds| [(RETRY_AFTER, seconds.to_string())]);
    match retry_after {
        Some(header) => (status, header).into_response(),
        None => status.into_response(),
    }
}
