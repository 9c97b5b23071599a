//! Events of several chats, each posted after the acceptance of the one before in its chat, and
//! the order in which they reach the receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::eventually::{AT_LAST, eventually};
use crate::http_client::http_client;
use crate::or_fail;
use crate::receiver::Post;

/// Chats to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chats {
    pub chats: usize,
    /// Events of each chat.
    pub each: usize,
    /// Requests in flight.
    pub senders: usize,
}

impl Chats {
    /// Posts all events. An event that is not accepted is posted again, with the same id.
    pub async fn post(self, base_url: &str) {
        let http = or_fail("an HTTP client", http_client());
        let permits = Arc::new(Semaphore::new(self.senders));
        let mut posting = JoinSet::new();
        for chat in 0..self.chats {
            let (http, permits) = (http.clone(), Arc::clone(&permits));
            let url = format!("{base_url}/v1/events");
            posting.spawn(async move {
                for number in 0..self.each {
                    let permit = permits.acquire().await;
                    post_until_accepted(&http, &url, chat, number).await;
                    drop(permit);
                }
            });
        }
        posting.join_all().await;
    }

    /// Returns the order of the first attempts and of the first successes of each chat.
    pub fn order(self, posts: &[Arc<Post>], fails: impl Fn(&Post) -> bool) -> ChatOrder {
        let mut attempts = Sequences::default();
        let mut successes = Sequences::default();
        for post in posts {
            let (chat, number) = event_of(post);
            attempts.add(chat, number);
            if !fails(post) {
                successes.add(chat, number);
            }
        }
        ChatOrder {
            posts: posts.len(),
            missing: self.chats * self.each - successes.events(),
            inverted_attempts: attempts.inversions,
            inverted_successes: successes.inversions,
        }
    }
}

/// Order of the posts of all chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChatOrder {
    /// Posts, repeats included.
    pub posts: usize,
    /// Events that the receiver has not taken.
    pub missing: usize,
    /// Events whose first attempt came after that of a later event of their chat.
    pub inverted_attempts: usize,
    /// Events whose first success came after that of a later event of their chat.
    pub inverted_successes: usize,
}

impl ChatOrder {
    /// Returns true if each event was taken, in the order of its chat.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.missing == 0 && self.inverted_attempts == 0 && self.inverted_successes == 0
    }
}

impl fmt::Display for ChatOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            posts,
            missing,
            inverted_attempts,
            inverted_successes,
        } = self;
        write!(
            f,
            "{posts} posts, {missing} events missing, {inverted_attempts} first attempts and \
             {inverted_successes} first successes out of order"
        )
    }
}

/// Events of each chat in the order of their first occurrence.
#[derive(Default)]
struct Sequences {
    seen: BTreeMap<u64, BTreeSet<u64>>,
    inversions: usize,
}

impl Sequences {
    fn add(&mut self, chat: u64, number: u64) {
        let seen = self.seen.entry(chat).or_default();
        let is_behind = seen.last().is_some_and(|last| *last > number);
        self.inversions += usize::from(seen.insert(number) && is_behind);
    }

    fn events(&self) -> usize {
        self.seen.values().map(BTreeSet::len).sum()
    }
}

/// Returns true for the first attempt of a tenth of the events, spread over all chats.
#[must_use]
pub fn fails_once(post: &Post) -> bool {
    let (chat, number) = event_of(post);
    (chat * 7 + number).is_multiple_of(10) && post.attempt() == Some(1)
}

/// Returns chat and number of an event.
pub fn event_of(post: &Post) -> (u64, u64) {
    let body: Option<Value> = serde_json::from_slice(&post.body).ok();
    let data = body.as_ref().and_then(|body| body.get("data"));
    let number = |name| data?.get(name)?.as_u64();
    let both = number("chat").zip(number("n"));
    or_fail("a post", both.context("is no event of a chat"))
}

/// Posts an event of a chat until it is accepted.
pub async fn post_until_accepted(http: &reqwest::Client, url: &str, chat: usize, number: usize) {
    eventually(AT_LAST, "an accepted event", || async {
        post(http, url, chat, number).await.then_some(())
    })
    .await;
}

/// Posts an event of a chat; returns true if it was accepted.
pub async fn post(http: &reqwest::Client, url: &str, chat: usize, number: usize) -> bool {
    let from = format!("{}@c.us", 15_550_000_000 + chat);
    let id = format!("{chat}-{number}");
    let data = json!({
        "chat": chat, "n": number, "fromMe": false, "from": from,
        "id": {"_serialized": format!("false_{from}_{number}")},
    });
    let event = json!({"event": "message_create", "data": data});
    let request = http
        .post(url)
        .header("content-type", "application/json")
        .header("idempotency-key", id)
        .body(event.to_string());
    request
        .send()
        .await
        .is_ok_and(|answer| answer.status().is_success())
}
