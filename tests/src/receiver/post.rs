//! What does the receiver know of a request?

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::{HeaderMap, Method};

use super::Verdict;

/// One complete POST, exactly as it arrived.
#[derive(Debug, Clone)]
pub struct Post {
    /// When its last byte was there.
    pub arrived: Instant,
    pub arrived_at: SystemTime,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Post {
    /// `None` also where the value is not plain text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The event id: `webhook-id`.
    pub fn id(&self) -> Option<&str> {
        self.header("webhook-id")
    }

    /// `X-Webhook-Attempt`, from 1.
    pub fn attempt(&self) -> Option<u32> {
        self.header("x-webhook-attempt")?.parse().ok()
    }

    /// `X-Webhook-Event`.
    pub fn event(&self) -> Option<&str> {
        self.header("x-webhook-event")
    }

    /// Checks both signatures as a receiver who knows `secret` does.
    pub fn verify(&self, secret: &str) -> Verdict {
        Verdict::on(self, secret)
    }
}
