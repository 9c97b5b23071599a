//! Streamed reading of request bodies, within limits on size (before and after
//! inflating), memory and time.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::{
    body::{BodyDataStream, Bytes, HttpBody as _},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use flate2::write::MultiGzDecoder;
use futures_util::{FutureExt, StreamExt};

use crate::{
    budget::{Budget, Exhausted, Reservation},
    headers::Encoding,
    problem::Problem,
};

/// Time limit from the end of the headers to the end of the body. With the
/// limit for the headers (`wahook_runtime::ops`) a request may take 30 s.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);
/// Initial capacity for a body, in bytes.
const INITIAL_CAPACITY: usize = 1024;
/// Limit of bytes that are read of a refused body.
const MAX_DISCARDED: usize = 64 << 10;
/// Memory for inflating, without its result: a window of 32 KiB, a buffer of as
/// much, and tables.
const INFLATE_BYTES: usize = 96 << 10;

/// Reads the whole body; `limit` is in bytes.
pub(crate) async fn read(
    headers: &HeaderMap,
    body: &mut BodyDataStream,
    encoding: Encoding,
    limit: usize,
    budget: &Budget,
) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(Problem::too_large(limit));
    }
    let decoder = Decoder::new(encoding, limit, budget)?;
    let whole = tokio::time::timeout(BODY_TIMEOUT, read_chunks(body, decoder)).await;
    whole.unwrap_or_else(|_| Err(Problem::too_slow(BODY_TIMEOUT)))
}

async fn read_chunks(chunks: &mut BodyDataStream, mut decoder: Decoder) -> Result<Bytes, Problem> {
    while let Some(chunk) = chunks.next().await {
        decoder.push(&chunk.map_err(|error| Problem::unreadable(&error))?)?;
    }
    decoder.finish()
}

/// Returns the answer to a refused request.
///
/// A connection whose body is not read to its end cannot be reused; without the header a
/// client would lose its next request.
pub(crate) fn refuse(problem: Problem, headers: &HeaderMap, body: &mut BodyDataStream) -> Response {
    let mut response = problem.into_response();
    if !is_done(headers, body) {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
    }
    response
}

/// Returns true if the whole body has arrived. Up to [`MAX_DISCARDED`] bytes
/// that have arrived are discarded; for a client that sends more the connection
/// is closed.
fn is_done(headers: &HeaderMap, body: &mut BodyDataStream) -> bool {
    // A client that sent `Expect` starts to send once the body is read.
    if headers.contains_key(header::EXPECT) {
        return body.is_end_stream();
    }
    let mut discarded = 0;
    while discarded <= MAX_DISCARDED {
        match body.next().now_or_never() {
            Some(None) => return true,
            Some(Some(Ok(chunk))) => discarded += chunk.len(),
            Some(Some(Err(_))) | None => return false,
        }
    }
    false
}

enum Decoder {
    Identity(Sink),
    /// Decoder, with the number of compressed bytes that may still follow: a
    /// stream of nothing but empty members would never reach the limit on its
    /// contents.
    Gzip(Box<MultiGzDecoder<Sink>>, usize),
}

impl Decoder {
    fn new(encoding: Encoding, limit: usize, budget: &Budget) -> Result<Self, Problem> {
        let reserve = |bytes| budget.reserve(bytes).map_err(Problem::no_memory);
        let sink = |reservation| Sink {
            bytes: Vec::new(),
            reservation,
            limit,
        };
        Ok(match encoding {
            Encoding::Identity => Self::Identity(sink(reserve(0)?)),
            Encoding::Gzip => {
                let sink = sink(reserve(INFLATE_BYTES)?);
                Self::Gzip(Box::new(MultiGzDecoder::new(sink)), limit)
            }
        })
    }

    fn push(&mut self, chunk: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Identity(sink) => sink.push(chunk).map_err(Problem::from),
            Self::Gzip(gzip, left) => {
                let too_large = || Problem::from(Refusal::TooLarge(gzip.get_ref().limit));
                *left = left.checked_sub(chunk.len()).ok_or_else(too_large)?;
                // The decoder buffers a member's header, which can be long.
                let reservation = &mut gzip.get_mut().reservation;
                reservation.grow(chunk.len()).map_err(Problem::no_memory)?;
                gzip.write_all(chunk).map_err(not_inflated)
            }
        }
    }

    fn finish(self) -> Result<Bytes, Problem> {
        let sink = match self {
            Self::Identity(sink) => sink,
            Self::Gzip(gzip, _) => gzip.finish().map_err(not_inflated)?,
        };
        Ok(sink.reservation.attach(sink.bytes))
    }
}

fn not_inflated(error: io::Error) -> Problem {
    match error.downcast::<Refusal>() {
        Ok(refusal) => refusal.into(),
        Err(error) => Problem::not_gzip(&error),
    }
}

/// Received bytes. Memory is reserved in the budget before it is allocated.
struct Sink {
    bytes: Vec<u8>,
    reservation: Reservation,
    limit: usize,
}

/// Reasons for which a [`Sink`] accepts no more.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("more than {0} bytes")]
    TooLarge(usize),
    #[error(transparent)]
    NoMemory(#[from] Exhausted),
}

impl Sink {
    fn push(&mut self, chunk: &[u8]) -> Result<(), Refusal> {
        let needed = self.bytes.len().saturating_add(chunk.len());
        if needed > self.limit {
            return Err(Refusal::TooLarge(self.limit));
        }
        let capacity = self.bytes.capacity();
        if needed > capacity {
            let doubled = capacity.saturating_mul(2).max(INITIAL_CAPACITY);
            let wanted = doubled.min(self.limit).max(needed);
            self.reservation.grow(wanted - capacity)?;
            self.bytes.reserve_exact(wanted - self.bytes.len());
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        self.push(chunk).map_err(io::Error::other)?;
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooLarge(limit) => Self::too_large(limit),
            Refusal::NoMemory(exhausted) => Self::no_memory(exhausted),
        }
    }
}

#[cfg(test)]
mod tests;
