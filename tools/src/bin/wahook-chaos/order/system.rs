//! What runs have in common: the receiver, its answers, and the settings.

use wahook_tests::chats::{event_of, fails_once};
use wahook_tests::random::Random;
use wahook_tests::receiver::{Answer, Post, Receiver};

/// Chat whose every attempt fails.
const FAILING_CHAT: u64 = 7;
pub(super) const KILLS: usize = 24;
pub(super) const SETTINGS: [(&str, &str); 6] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_LANES", "8"),
    ("WEBHOOK_RETRY_ATTEMPTS", "3"),
    ("WEBHOOK_RETRY_DELAY", "200"),
    ("WEBHOOK_CONCURRENCY", "64"),
    // The failing chat must not pause the endpoint.
    ("WEBHOOK_CIRCUIT", "off"),
];

/// Servers and programs of a run.
pub(super) trait System {
    fn receiver(&self) -> &Receiver;

    /// Returns the address for events.
    fn url(&self) -> String;

    /// Returns what runs, with versions.
    async fn versions(&self) -> anyhow::Result<String>;

    /// Kills and replaces a program, and with some kills a broker.
    async fn kill(&mut self, kill: usize, random: &mut Random) -> anyhow::Result<()>;

    /// Returns what [`Self::kill`] kills in a whole run.
    fn killed(&self) -> String;

    /// Returns the number of log records of dead letters.
    async fn dead_letters(&self) -> anyhow::Result<u64>;
}

pub(super) fn always_fails(post: &Post) -> bool {
    event_of(post).0 == FAILING_CHAT
}

pub(super) fn fails(post: &Post) -> bool {
    always_fails(post) || fails_once(post)
}

pub(super) async fn receiver() -> Receiver {
    Receiver::answering(|post| Answer::status(if fails(post) { 500 } else { 200 })).await
}
