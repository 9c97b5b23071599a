//! Events of a run, and the receivers that count them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;
use wahook_tests::http_client::http_client;
use wahook_tests::receiver::{Answer, Receiver};

const MB: usize = 1_000_000;

/// Event of a run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// For the fast endpoint.
    Small,
    /// For the fast and the slow endpoint, of 1 MB.
    Backlog,
    /// The same, of nearly 15 MiB.
    Large,
    /// For all hostile endpoints.
    Attack,
}

/// Ids of accepted and of delivered events.
pub(super) struct Ids {
    accepted: Mutex<BTreeSet<String>>,
    delivered: Mutex<BTreeSet<String>>,
    largest: Mutex<String>,
    answers_at_once: watch::Sender<bool>,
    receiver: Mutex<Option<Receiver>>,
}

impl Kind {
    fn event(self) -> &'static str {
        match self {
            Self::Small => "message_create",
            Self::Backlog | Self::Large => "media",
            Self::Attack => "attack",
        }
    }

    fn pause(self) -> Duration {
        match self {
            Self::Small | Self::Attack => Duration::from_millis(100),
            Self::Backlog | Self::Large => Duration::from_secs(5),
        }
    }

    pub(super) fn body(self, number: usize) -> String {
        let length = match self {
            Self::Small | Self::Attack => 2_000,
            Self::Backlog => MB,
            Self::Large => (14 << 20) + (900 << 10),
        };
        let data = json!({"number": number, "media": "x".repeat(length)});
        json!({"event": self.event(), "data": data}).to_string()
    }
}

impl Ids {
    /// Ids of events that no receiver counts.
    pub(super) fn unread() -> Arc<Self> {
        Arc::new(Self {
            accepted: Mutex::default(),
            delivered: Mutex::default(),
            largest: Mutex::default(),
            answers_at_once: watch::Sender::new(false),
            receiver: Mutex::default(),
        })
    }

    /// Starts a receiver that answers after `delay` and keeps only the ids.
    pub(super) async fn start(delay: Duration) -> Arc<Self> {
        let ids = Self::unread();
        let weak = Arc::downgrade(&ids);
        let receiver = Receiver::answering(move |post| {
            let Some(ids) = weak.upgrade() else {
                return Answer::status(503);
            };
            let id = post.id().unwrap_or_default().to_owned();
            if post.body.len() > 10 * MB {
                ids.largest.lock().unwrap().clone_from(&id);
            }
            ids.delivered.lock().unwrap().insert(id);
            let released = ids.answers_at_once.subscribe();
            Answer::status(200).after(delay).until(released)
        });
        *ids.receiver.lock().unwrap() = Some(receiver.await);
        ids
    }

    pub(super) fn url(&self) -> String {
        self.receiver.lock().unwrap().as_ref().unwrap().url()
    }

    /// Ends the delay of all answers.
    pub(super) fn answer_at_once(&self) {
        self.answers_at_once.send_replace(true);
    }

    pub(super) fn accept(&self, id: String) {
        self.accepted.lock().unwrap().insert(id);
    }

    pub(super) fn accepted(&self) -> usize {
        self.accepted.lock().unwrap().len()
    }

    /// Returns the id of the last delivered event of nearly 15 MiB.
    pub(super) fn largest(&self) -> String {
        self.largest.lock().unwrap().clone()
    }

    /// Notes that all events accepted for another receiver are for this one too.
    pub(super) fn accept_all_of(&self, other: &Self) {
        let others = other.accepted.lock().unwrap().clone();
        self.accepted.lock().unwrap().extend(others);
    }

    /// Deletes the posts of the receiver, which would take gigabytes.
    pub(super) fn forget(&self) {
        if let Some(receiver) = self.receiver.lock().unwrap().as_ref() {
            receiver.forget();
        }
    }

    /// Returns the number of events that are accepted and not delivered yet.
    pub(super) fn missing(&self) -> usize {
        self.forget();
        let delivered = self.delivered.lock().unwrap();
        self.accepted.lock().unwrap().difference(&delivered).count()
    }

    /// Sends events, and notes the ids of those that are accepted. Does not return.
    pub(super) async fn send(&self, server: SocketAddr, kind: Kind) {
        for number in 1_000_000.. {
            let accepted = post(server, kind.body(number)).await;
            self.accepted.lock().unwrap().extend(accepted);
            sleep(kind.pause()).await;
        }
    }
}

/// Posts an event; returns its id, or `None` if it is not accepted.
pub(super) async fn post(server: SocketAddr, body: String) -> Option<String> {
    let request = http_client()
        .ok()?
        .post(format!("http://{server}/v1/events"));
    let request = request
        .header("content-type", "application/json")
        .body(body);
    let answer = request.send().await.ok()?;
    let is_accepted = answer.status().as_u16() == 202;
    let answer: serde_json::Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
    let id = answer.get("id")?.as_str()?.to_owned();
    is_accepted.then_some(id)
}
