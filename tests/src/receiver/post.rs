//! Recorded requests.

use std::time::{Instant, SystemTime};

use bytes::Bytes;
use hyper::{HeaderMap, Method};

/// Complete POST request as received.
#[derive(Debug, Clone)]
pub struct Post {
    /// Arrival of the last byte.
    pub arrived: Instant,
    pub arrived_at: SystemTime,
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Post {
    /// Returns a header; `None` also if the value is not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Event id: `webhook-id`.
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
}
