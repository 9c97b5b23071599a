//! Load of an ordered endpoint.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use wahook_tests::chats::post_until_accepted;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Pair;

/// Interval between lines about the progress.
const SHOWN_EVERY: Duration = Duration::from_secs(10);

/// Chat and number of an event.
pub(super) type Event = (u64, u64);

/// Accepted events, each with the beginning of its first request.
pub(super) type Posted = Vec<(Event, Instant)>;

/// Chats that post events until they are stopped, each one after the acceptance of the one
/// before.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
    posting: JoinSet<Posted>,
}

impl Load {
    /// Starts these chats, with a pause after each event of a chat.
    pub(super) fn start(url: &str, chats: Range<usize>, pause: Duration) -> anyhow::Result<Self> {
        let http = http_client()?;
        let stop = Arc::new(AtomicBool::new(false));
        let accepted = Arc::new(AtomicUsize::new(0));
        let mut posting = JoinSet::new();
        for chat in chats {
            let (http, url) = (http.clone(), url.to_owned());
            let (stop, accepted) = (Arc::clone(&stop), Arc::clone(&accepted));
            posting.spawn(async move {
                let mut posted = Posted::new();
                while !stop.load(Ordering::Relaxed) {
                    let number = posted.len();
                    posted.push(((chat as u64, number as u64), Instant::now()));
                    post_until_accepted(&http, &url, chat, number).await;
                    accepted.fetch_add(1, Ordering::Relaxed);
                    sleep(pause).await;
                }
                posted
            });
        }
        Ok(Self {
            stop,
            accepted,
            posting,
        })
    }

    /// Returns the number of accepted events.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// Goes on for this time, and prints the progress.
    pub(super) async fn go_on(&self, what: &str, time: Duration, taken: impl Fn() -> usize) {
        let begin = Instant::now();
        loop {
            let left = time.saturating_sub(begin.elapsed());
            sleep(left.min(SHOWN_EVERY)).await;
            println!(
                "    {what} for {:.0} s: {} events accepted, {} delivered",
                begin.elapsed().as_secs_f64(),
                self.accepted(),
                taken()
            );
            if begin.elapsed() >= time {
                return;
            }
        }
    }

    /// Stops the chats, and returns all their events.
    pub(super) async fn stop(self) -> Posted {
        self.stop.store(true, Ordering::Relaxed);
        self.posting
            .join_all()
            .await
            .into_iter()
            .flatten()
            .collect()
    }
}

/// Returns the URL for events of the pair's producer.
pub(super) fn url_of(pair: &Pair) -> String {
    format!("{}/v1/events", pair.producer.base_url())
}
