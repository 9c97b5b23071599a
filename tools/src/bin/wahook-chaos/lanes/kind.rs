//! Kinds of chats while owners of lanes are killed.

use std::ops::Range;
use std::time::Instant;

use tokio::task::JoinSet;
use wahook_tests::chats::post_until_accepted;

use super::load::{Event, Posted};

/// Chats of each kind.
const OF_KIND: usize = 60;

/// Kind of a chat, by its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Events all the time: consumers learn of their lanes by them.
    Steady,
    /// One event for each kill, posted once its process has ended: its lane holds no other of its chat.
    Idle,
    /// One event for each kill, whose attempt lasts beyond it.
    Slow,
}

impl Kind {
    pub(super) fn chats(self) -> Range<usize> {
        let first = match self {
            Self::Steady => 0,
            Self::Idle => OF_KIND,
            Self::Slow => 2 * OF_KIND,
        };
        first..first + OF_KIND
    }

    pub(super) fn has(self, chat: u64) -> bool {
        usize::try_from(chat).is_ok_and(|chat| self.chats().contains(&chat))
    }
}

/// Posts one event of each chat of a kind, all at once.
pub(super) async fn post_each(
    http: &reqwest::Client,
    url: &str,
    kind: Kind,
    number: usize,
) -> Posted {
    let mut posting = JoinSet::new();
    for chat in kind.chats() {
        let (http, url) = (http.clone(), url.to_owned());
        posting.spawn(async move {
            let begin = Instant::now();
            post_until_accepted(&http, &url, chat, number).await;
            ((chat as u64, number as u64), begin)
        });
    }
    posting.join_all().await
}

/// Returns the events of a kind with this number.
pub(super) fn events(kind: Kind, number: usize) -> impl Iterator<Item = Event> {
    let chats = kind.chats();
    chats.map(move |chat| (chat as u64, number as u64))
}
