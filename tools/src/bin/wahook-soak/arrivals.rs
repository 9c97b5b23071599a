//! Arrivals at the webhook of both endpoints.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use wahook_tests::receiver::{Answer, Post};
use wahook_tests::timed_event;

use crate::ledger::{Ledger, Reply};

/// Time until a slow answer.
const SLOW: Duration = Duration::from_millis(300);

/// Endpoint of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Without order.
    Plain,
    /// Events of a chat one after another, in lanes.
    Ordered,
}

impl Endpoint {
    pub(crate) const BOTH: [Self; 2] = [Self::Plain, Self::Ordered];

    /// Name in the endpoints file, and last part of the URL.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ordered => "ordered",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Arrivals {
    /// Origin of the times in the events.
    epoch: Instant,
    plain: Mutex<Ledger>,
    ordered: Mutex<Ledger>,
}

impl Arrivals {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            plain: Mutex::default(),
            ordered: Mutex::default(),
        }
    }

    /// Origin of the times in the events.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// Records an attempt and returns the answer; 404 for anything else.
    pub(crate) fn answer(&self, post: &Post) -> Answer {
        let mut endpoints = Endpoint::BOTH.into_iter();
        let endpoint = endpoints.find(|endpoint| post.path.trim_matches('/') == endpoint.name());
        let sent = timed_event::parse(&post.body);
        let Some((endpoint, sent)) = endpoint.zip(sent) else {
            return Answer::status(404);
        };
        let arrived = post.arrived.saturating_duration_since(self.epoch);
        let latency = arrived.saturating_sub(sent.at);
        match self.ledger(endpoint).record(sent.number, latency) {
            Reply::Unavailable => Answer::status(503),
            Reply::Slow => Answer::status(200).after(SLOW),
            Reply::Success => Answer::status(200),
        }
    }

    pub(crate) fn ledger(&self, endpoint: Endpoint) -> MutexGuard<'_, Ledger> {
        let ledger = match endpoint {
            Endpoint::Plain => &self.plain,
            Endpoint::Ordered => &self.ordered,
        };
        ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of events that both endpoints have, if each has the same ones.
    pub(crate) fn delivered_to_both(&self) -> u64 {
        let delivered = Endpoint::BOTH.map(|endpoint| self.ledger(endpoint).delivered());
        delivered.into_iter().min().unwrap_or_default()
    }

    /// Returns the number of attempts at both endpoints that were repeats.
    pub(crate) fn repeats(&self) -> u64 {
        let repeats = Endpoint::BOTH.map(|endpoint| self.ledger(endpoint).repeats());
        repeats.iter().sum()
    }
}
