//! Second load on a cluster: an endpoint with order and lanes, on a virtual host of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use wahook_tests::chats::{Chats, event_of, fails_once, post};
use wahook_tests::http_client::http_client;
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::{Pair, Place};
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::brokers::Brokers;
use crate::until::until;

const VHOST: &str = "ordered";
const CHATS: usize = 20;
/// Pause between two rounds of one event for each chat.
const PAUSE: Duration = Duration::from_millis(100);
const SETTINGS: [(&str, &str); 4] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_LANES", "3"),
    ("WEBHOOK_RETRY_DELAY", "300"),
    ("WEBHOOK_CIRCUIT", "off"),
];

/// Producer, two consumers and receiver of the ordered endpoint.
pub(crate) struct Ordered {
    pair: Pair,
    posting: Option<Posting>,
    /// Number of the next event of each chat.
    next: usize,
}

struct Posting {
    stop: Arc<AtomicBool>,
    /// Returns the number of the next event.
    task: JoinHandle<anyhow::Result<usize>>,
}

/// Result of a row for the ordered endpoint.
pub(crate) struct Outcome {
    pub(crate) note: String,
    /// Lost events, or a broken order.
    pub(crate) fault: Option<String>,
}

impl Ordered {
    pub(crate) async fn start(brokers: &Brokers, mongod: &Mongod) -> anyhow::Result<Self> {
        let node = brokers.node()?;
        node.ctl(&["add_vhost", VHOST]).await?;
        let all = ["set_permissions", "-p", VHOST, "guest", ".*", ".*", ".*"];
        node.ctl(&all).await?;
        let place = Place {
            amqp_url: brokers.amqp_url().replace("/%2f", &format!("/{VHOST}")),
            mongodb_uri: mongod.uri(),
            database: "wahook-chaos-ordered".to_owned(),
        };
        let receiver =
            Receiver::answering(|post| Answer::status(if fails_once(post) { 500 } else { 200 }));
        let pair = Pair::start(place, receiver.await, &SETTINGS).await;
        pair.add_consumer().await;
        Ok(Self {
            pair,
            posting: None,
            next: 0,
        })
    }

    /// Starts posting events of all chats.
    pub(crate) fn send(&mut self) -> anyhow::Result<()> {
        self.pair.receiver.forget();
        let stop = Arc::new(AtomicBool::new(false));
        let url = format!("{}/v1/events", self.pair.producer.base_url());
        let http = http_client()?;
        let task = tokio::spawn(post_rounds(http, url, self.next, Arc::clone(&stop)));
        self.posting = Some(Posting { stop, task });
        Ok(())
    }

    /// Stops posting, waits for the deliveries and judges them; `None` if nothing was posted.
    pub(crate) async fn finish(&mut self) -> anyhow::Result<Option<Outcome>> {
        let Some(posting) = self.posting.take() else {
            return Ok(None);
        };
        posting.stop.store(true, Ordering::Relaxed);
        let first = self.next;
        self.next = posting.task.await??;
        let chats = Chats {
            chats: CHATS,
            each: self.next - first,
            senders: CHATS,
        };
        let posts = || self.posts_from(first);
        let delivered = until(
            "all events of the ordered endpoint are delivered",
            || async { Ok(chats.order(&posts(), fails_once).missing == 0) },
        )
        .await;
        let posts = posts();
        let order = chats.order(&posts, fails_once);
        let failed = posts.iter().filter(|post| fails_once(post)).count();
        let events = chats.chats * chats.each;
        let repeats = posts.len().saturating_sub(events + failed);
        let fault = match delivered {
            Err(error) => Some(format!("{error:#}: {order}")),
            Ok(()) => (!order.is_kept()).then(|| order.to_string()),
        };
        let kept = if order.is_kept() { "kept" } else { "broken" };
        let note = format!(
            "ordered endpoint: {events} events of {CHATS} chats, {} lost, order {kept}, {repeats} repeats",
            order.missing
        );
        Ok(Some(Outcome { note, fault }))
    }

    /// Returns the posts of this row; a late repeat of an earlier one is left out.
    fn posts_from(&self, first: usize) -> Vec<Arc<Post>> {
        let posts = self.pair.receiver.posts().into_iter();
        posts
            .filter(|post| usize::try_from(event_of(post).1).is_ok_and(|n| n >= first))
            .collect()
    }
}

/// Posts one event of each chat in each round, until it is stopped.
async fn post_rounds(
    http: reqwest::Client,
    url: String,
    first: usize,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<usize> {
    let mut number = first;
    while !stop.load(Ordering::Relaxed) {
        let mut round = JoinSet::new();
        for chat in 0..CHATS {
            let (http, url) = (http.clone(), url.clone());
            round.spawn(async move {
                while !post(&http, &url, chat, number).await {
                    sleep(PAUSE).await;
                }
            });
        }
        while let Some(ended) = round.join_next().await {
            ended.context("a sender of the ordered endpoint")?;
        }
        number += 1;
        sleep(PAUSE).await;
    }
    Ok(number)
}
