//! `/events/live`: deliveries as they end, as server-sent events.
//!
//! One task follows the log for all clients, while there are any. A slow client skips
//! deliveries.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{
    runtime::Handle,
    sync::{Notify, broadcast, broadcast::error::RecvError},
    task::spawn_blocking,
    time::sleep,
};
use wahook_delivery_log::{Ended, EndedFilter, FollowError, LogReader};
use wahook_runtime::{
    Shutdown, clock,
    problem::{MEDIA_TYPE, Problem},
};

use crate::{
    failure::Failure,
    live_filter::{LiveQuery, Matcher},
    live_poll::LivePoll,
    log::Log,
    refusals::Reading,
    shape::Delivery,
};

/// Deliveries that a slow client may be behind; then it skips.
const BACKLOG: usize = 1_024;
/// Streams at the same time. A browser opens one for each page.
const STREAMS: usize = 32;
/// Interval of comments without data: a failed write detects a client that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Time between the end of the last stream and the end of reading.
const CHECK: Duration = Duration::from_secs(1);
/// Pause after a failed read.
const RETRY: Duration = Duration::from_secs(2);

/// Deliveries that end, for all streams.
pub(crate) struct Live {
    ended: broadcast::Sender<Arc<Ended>>,
    opened: Notify,
    shutdown: Shutdown,
}

/// Stream deliveries as they end
///
/// Each `data:` is a delivery as in a list, without its origin: `source`, `session`, `chat` and
/// `messageId` are null.
#[utoipa::path(
    get,
    path = "/api/v1/events/live",
    tag = "deliveries",
    security(("bearer" = []), ("cookie" = [])),
    params(LiveQuery),
    responses(
        (status = 200, description = "Server-sent events, until the client disconnects", body = String, content_type = "text/event-stream"),
        (status = 400, description = "Unknown or invalid query", body = Problem, content_type = MEDIA_TYPE),
        (status = 503, description = "Too many streams", body = Problem, content_type = MEDIA_TYPE),
        Reading,
    )
)]
pub(crate) async fn get(
    State(live): State<Arc<Live>>,
    query: Result<Query<LiveQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query?;
    let stream = live.open(query.matcher()?)?;
    let body = Body::from_stream(stream::unfold(stream, |mut stream| async {
        let event = stream.next().await?;
        Some((Ok::<_, Infallible>(event), stream))
    }));
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], body).into_response())
}

struct Stream {
    ended: broadcast::Receiver<Arc<Ended>>,
    matcher: Matcher,
    is_started: bool,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Stream {
    /// Returns the next event; `None` once the program stops.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_started {
            self.is_started = true;
            // So that a client sees at once that the stream is open.
            return Some(Bytes::from_static(b"retry: 2000\n\n"));
        }
        let next = async {
            loop {
                match self.ended.recv().await {
                    Ok(ended) if self.matcher.matches(&ended) => break Some(ended),
                    Ok(_) | Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => break None,
                }
            }
        };
        tokio::select! {
            ended = next => ended.map(|ended| event(&ended)),
            () = sleep(KEEP_ALIVE) => Some(Bytes::from_static(b":\n\n")),
            () = &mut self.stop => None,
        }
    }
}

fn event(ended: &Ended) -> Bytes {
    let delivery = Delivery::from(ended.clone());
    // Strings and numbers always serialize, and their JSON has no line ends.
    let data = serde_json::to_string(&delivery).unwrap_or_default();
    Bytes::from(format!("data: {data}\n\n"))
}

impl Live {
    pub(crate) fn new(shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            ended: broadcast::Sender::new(BACKLOG),
            opened: Notify::new(),
            shutdown,
        })
    }

    fn open(&self, matcher: Matcher) -> Result<Stream, Failure> {
        if self.ended.receiver_count() >= STREAMS {
            return Err(Failure::busy("close other pages of the console"));
        }
        let ended = self.ended.subscribe();
        self.opened.notify_one();
        Ok(Stream {
            ended,
            matcher,
            is_started: false,
            stop: Box::pin(self.shutdown.soft()),
        })
    }

    /// Follows the log while there are streams, until the program stops. Runs on a thread of
    /// its own, because a data file is read by blocking calls.
    pub(crate) async fn follow(self: Arc<Self>, reader: Arc<dyn LogReader>, log: Log) {
        let following = spawn_blocking(move || {
            Handle::current().block_on(async {
                tokio::select! {
                    () = self.follow_streams(reader.as_ref(), &log) => {}
                    () = self.shutdown.soft() => {}
                }
            });
        });
        // Fails only after a panic, which is logged: the streams end then.
        let _ = following.await;
    }

    async fn follow_streams(&self, reader: &dyn LogReader, log: &Log) {
        let mut is_warned = false;
        loop {
            while self.ended.receiver_count() == 0 {
                self.opened.notified().await;
            }
            match self.follow_once(reader).await {
                Ok(()) => {}
                Err(FollowError::Impossible(error)) => {
                    if !std::mem::replace(&mut is_warned, true) {
                        tracing::warn!(%error, "console: deliveries can't be followed; searching for them once a second");
                    }
                    self.poll(log).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "console: deliveries can't be followed; retrying");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Searches until there is no stream.
    async fn poll(&self, log: &Log) {
        let mut poll = LivePoll::new(log.clone(), clock::now());
        while self.ended.receiver_count() > 0 {
            let Ok(found) = poll.next().await else {
                sleep(RETRY).await;
                continue;
            };
            for ended in found {
                // Fails only without streams.
                let _ = self.ended.send(Arc::new(ended));
            }
        }
    }

    /// Follows until there is no stream.
    async fn follow_once(&self, reader: &dyn LogReader) -> Result<(), FollowError> {
        let filter = EndedFilter::default();
        let mut following = reader.follow(None, &filter).await?;
        while self.ended.receiver_count() > 0 {
            // Kept over the checks: a read that is dropped may lose deliveries.
            let mut next = following.next();
            let ended = loop {
                tokio::select! {
                    ended = &mut next => break ended?,
                    () = sleep(CHECK) => {}
                }
                if self.ended.receiver_count() == 0 {
                    return Ok(());
                }
            };
            // Fails only without streams.
            let _ = self.ended.send(Arc::new(ended));
        }
        Ok(())
    }
}
