//! How is a body read? As it streams in, never beyond its limit, before and
//! after inflating, and never beyond the budget or the time.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::{
    body::{BodyDataStream, Bytes, HttpBody as _},
    http::{HeaderMap, header},
};
use flate2::write::MultiGzDecoder;
use futures_util::{FutureExt, StreamExt};

use crate::{
    budget::{Budget, Exhausted, Hold},
    headers::Encoding,
    problem::Problem,
};

/// From the end of the headers to the end of the body. With the time for the
/// headers (`wahook_runtime::ops`) this makes the 30 s that a request may take.
const BODY_WITHIN: Duration = Duration::from_secs(15);
/// What a body takes at first.
const FIRST_BYTES: usize = 1024;
/// What is read of a body that is refused, in bytes.
const MOST_DISCARDED: usize = 64 << 10;
/// What inflating takes beside its result: a window of 32 KiB, a buffer of as
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
    let whole = tokio::time::timeout(BODY_WITHIN, all_of(body, decoder)).await;
    whole.unwrap_or_else(|_| Err(Problem::too_slow(BODY_WITHIN)))
}

async fn all_of(chunks: &mut BodyDataStream, mut decoder: Decoder) -> Result<Bytes, Problem> {
    while let Some(chunk) = chunks.next().await {
        decoder.push(&chunk.map_err(|error| Problem::unreadable(&error))?)?;
    }
    decoder.finish()
}

/// Whether nothing of the body is still to come. What is here already is thrown
/// away, if it is little; a client that sends more had better be told to stop.
pub(crate) fn is_done(headers: &HeaderMap, body: &mut BodyDataStream) -> bool {
    // To ask for the body would tell such a client to send it.
    if headers.contains_key(header::EXPECT) {
        return body.is_end_stream();
    }
    let mut discarded = 0;
    while discarded <= MOST_DISCARDED {
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
    /// With the compressed bytes that may still come: a stream of nothing but
    /// empty members would never reach the limit on its contents.
    Gzip(Box<MultiGzDecoder<Sink>>, usize),
}

impl Decoder {
    fn new(encoding: Encoding, limit: usize, budget: &Budget) -> Result<Self, Problem> {
        let hold = |bytes| budget.hold(bytes).map_err(Problem::no_memory);
        let sink = |hold| Sink {
            bytes: Vec::new(),
            hold,
            limit,
        };
        Ok(match encoding {
            Encoding::Identity => Self::Identity(sink(hold(0)?)),
            Encoding::Gzip => {
                let sink = sink(hold(INFLATE_BYTES)?);
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
                // The decoder keeps a member's header, which can be long.
                let hold = &mut gzip.get_mut().hold;
                hold.grow(chunk.len()).map_err(Problem::no_memory)?;
                gzip.write_all(chunk).map_err(not_inflated)
            }
        }
    }

    fn finish(self) -> Result<Bytes, Problem> {
        let sink = match self {
            Self::Identity(sink) => sink,
            Self::Gzip(gzip, _) => gzip.finish().map_err(not_inflated)?,
        };
        Ok(sink.hold.keep(sink.bytes))
    }
}

fn not_inflated(error: io::Error) -> Problem {
    match error.downcast::<Refusal>() {
        Ok(refusal) => refusal.into(),
        Err(error) => Problem::not_gzip(&error),
    }
}

/// What has arrived. Memory is taken from the budget before it is allocated.
struct Sink {
    bytes: Vec<u8>,
    hold: Hold,
    limit: usize,
}

/// Why a [`Sink`] takes no more.
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
            let doubled = capacity.saturating_mul(2).max(FIRST_BYTES);
            let wanted = doubled.min(self.limit).max(needed);
            self.hold.grow(wanted - capacity)?;
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
