//! Bodies of requests, within limits on size and time.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::failure::Failure;

/// Time from the end of the headers to the end of the body.
pub(crate) const WITHIN: Duration = Duration::from_secs(15);

/// Reads the whole body, of at most `limit` bytes.
pub(crate) async fn read(body: Body, limit: usize, within: Duration) -> Result<Bytes, Failure> {
    let read = timeout(within, read_chunks(body, limit)).await;
    read.unwrap_or_else(|_| Err(Failure::too_slow(within)))
}

async fn read_chunks(body: Body, limit: usize) -> Result<Bytes, Failure> {
    let mut chunks = body.into_data_stream();
    let mut whole = Vec::new();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| Failure::invalid(error.to_string()))?;
        if chunk.len() > limit - whole.len() {
            return Err(Failure::too_large(limit));
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.into())
}

#[cfg(test)]
mod tests {
    use axum::{http::StatusCode, response::IntoResponse};
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn body_that_does_not_arrive_is_refused() {
        let silent = stream::pending::<Result<Bytes, std::io::Error>>();
        let refused = read(Body::from_stream(silent), 9, Duration::ZERO).await;
        let answer = refused.unwrap_err().into_response();
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(answer.headers()["connection"], "close");
    }

    #[tokio::test]
    async fn body_beyond_the_limit_is_refused() {
        let body = || Body::from("123");
        assert_eq!(read(body(), 3, WITHIN).await.unwrap(), "123");
        let refused = read(body(), 2, WITHIN).await.unwrap_err();
        let status = refused.into_response().status();
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
