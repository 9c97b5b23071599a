//! A chat whose events at some places fail, with many events behind them, next to other chats.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::chats::{ChatOrder, Chats, event_of, post_until_accepted};
use crate::eventually::eventually;
use crate::http_client::http_client;
use crate::or_fail;
use crate::receiver::{Answer, Post, Receiver};

/// Chat 0 has many events, the others few.
#[derive(Debug, Clone)]
pub struct BlockedChat {
    /// Events of chat 0.
    pub many: usize,
    pub others: usize,
    /// Events of each other chat.
    pub each: usize,
    /// Number of the event of chat 0 that fails now.
    failing: Arc<AtomicU64>,
    taken: Arc<Mutex<BTreeSet<(u64, u64)>>>,
}

impl BlockedChat {
    /// Creates the chats; the first event of chat 0 fails.
    #[must_use]
    pub fn new(many: usize, others: usize, each: usize) -> Self {
        Self {
            many,
            others,
            each,
            failing: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// Starts a receiver that fails the event.
    pub async fn receiver(&self) -> Receiver {
        let (failing, taken) = (Arc::clone(&self.failing), Arc::clone(&self.taken));
        Receiver::answering(move |post| {
            let event = event_of(post);
            if event == (0, failing.load(Ordering::Relaxed)) {
                return Answer::status(500);
            }
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.insert(event);
            Answer::status(200)
        })
        .await
    }

    /// Lets the failing event succeed, and this one fail.
    pub fn fail(&self, number: usize) {
        self.failing.store(number as u64, Ordering::Relaxed);
    }

    /// Lets all events succeed.
    pub fn repair(&self) {
        self.failing.store(u64::MAX, Ordering::Relaxed);
    }

    /// Posts these events of chat 0.
    pub async fn post_first(&self, base_url: &str, numbers: Range<usize>) {
        let url = format!("{base_url}/v1/events");
        let http = or_fail("an HTTP client", http_client());
        for number in numbers {
            post_until_accepted(&http, &url, 0, number).await;
        }
    }

    /// Posts the events of the other chats.
    pub async fn post_others(&self, base_url: &str) {
        let url = format!("{base_url}/v1/events");
        let http = or_fail("an HTTP client", http_client());
        let mut posting = JoinSet::new();
        for chat in 1..=self.others {
            let (http, url, each) = (http.clone(), url.clone(), self.each);
            posting.spawn(async move {
                for number in 0..each {
                    post_until_accepted(&http, &url, chat, number).await;
                }
            });
        }
        posting.join_all().await;
    }

    /// Returns the number of events that the receiver has taken: of chat 0, of the others.
    #[must_use]
    pub fn taken(&self) -> (usize, usize) {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_first = taken.iter().filter(|(chat, _)| *chat == 0).count();
        (of_first, taken.len() - of_first)
    }

    /// Waits until the receiver has taken so many events of chat 0, and all of the others.
    pub async fn until_taken(&self, of_first: usize, deadline: Duration) {
        let expected = (of_first, self.others * self.each);
        eventually(deadline, "the events of all chats", || async {
            (self.taken() == expected).then_some(())
        })
        .await;
    }

    /// Returns the order of the first attempts of all events, which must be complete.
    pub fn order(&self, posts: &[Arc<Post>]) -> ChatOrder {
        let all = Chats {
            chats: 1,
            each: self.many + self.others * self.each,
            senders: 1,
        };
        all.order(posts, |_| false)
    }
}
