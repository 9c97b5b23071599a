//! Limit for answers of the API that are sent at the same time.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::RETRY_AFTER},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http_body::{Frame, SizeHint};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::problem::Problem;

/// Part of an answer that is passed to the connection at once. The connection buffers little more
/// than that, so an unread answer keeps its slot.
const PART: usize = 64 << 10;

/// Number of answers that clients may read at the same time. An answer has its slot until its last
/// part is written, or until the client is gone.
#[derive(Debug, Clone)]
pub struct Slots {
    free: Arc<Semaphore>,
    /// Time to wait for a free slot.
    patience: Duration,
}

impl Slots {
    /// Creates `count` slots; a request waits for a free one at most for `patience`.
    #[must_use]
    pub fn new(count: usize, patience: Duration) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            patience,
        }
    }

    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(slot);
        }
        let waiting = timeout(self.patience, Arc::clone(&self.free).acquire_owned()).await;
        waiting.ok()?.ok()
    }
}

/// Answers the request while it has a slot; 503 if there is none.
pub async fn limited(State(slots): State<Slots>, request: Request, next: Next) -> Response {
    let Some(slot) = slots.take().await else {
        return busy();
    };
    next.run(request).await.map(|body| {
        Body::new(Held {
            body,
            rest: Bytes::new(),
            _slot: slot,
        })
    })
}

fn busy() -> Response {
    let title = "Too many answers are being sent";
    let hint = "close other pages, or read their answers, and try again";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", title, hint);
    let mut answer = problem.into_response();
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
    answer
}

/// Body of an answer, in parts of at most [`PART`] bytes.
struct Held {
    body: Body,
    rest: Bytes,
    _slot: OwnedSemaphorePermit,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
                ended => return Poll::Ready(ended),
            }
        }
        let part = self.rest.len().min(PART);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(part)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn held(slots: &Slots, content: Vec<u8>) -> Held {
        Held {
            body: Body::from(content),
            rest: Bytes::new(),
            _slot: slots.take().await.unwrap(),
        }
    }

    #[tokio::test]
    async fn answer_is_sent_in_parts_and_has_its_slot_until_the_last_one() {
        let slots = Slots::new(1, Duration::ZERO);
        let content: Vec<u8> = (0..=250).cycle().take(2 * PART + 1).collect();
        let mut body = held(&slots, content.clone()).await;
        let (mut seen, mut left) = (Vec::new(), content.len());
        while left > 0 {
            assert_eq!(body.size_hint().exact(), Some(left as u64));
            assert!(!body.is_end_stream());
            assert!(slots.take().await.is_none());
            let part = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(part.len() <= PART);
            left -= part.len();
            seen.extend_from_slice(&part);
        }
        assert!(body.is_end_stream());
        drop(body);
        assert_eq!(seen, content);
        assert!(slots.take().await.is_some());
    }

    #[tokio::test]
    async fn request_waits_for_a_slot() {
        let slots = Slots::new(1, Duration::from_secs(60));
        let first = held(&slots, Vec::new()).await;
        let (second, ()) = tokio::join!(slots.take(), async { drop(first) });
        assert!(second.is_some());
    }
}
