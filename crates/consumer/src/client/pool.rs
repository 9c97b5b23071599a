//! Pool of open connections to one webhook.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::time::{Instant, sleep};

use super::connection::Connection;

/// Default time for which an unused HTTP/1.1 connection is kept. Shorter than the shortest
/// common limit of servers, the 5 s of Node.js.
const IDLE_LIMIT: Duration = Duration::from_secs(4);
/// Time for which an unused HTTP/2 connection is kept. A server that closes it says which
/// requests it has not processed.
const HTTP2_IDLE_LIMIT: Duration = Duration::from_secs(50);
/// Interval at which unused connections are checked for their end.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Open connections without a request, and the HTTP/2 connection that all requests share.
pub(super) struct Pool {
    /// Maximum number of unused HTTP/1.1 connections.
    most: usize,
    /// Maximum age of a connection for a further request, so that a host that moves is followed.
    max_age: Duration,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Ordered by the time of their last request.
    http1: Vec<KeptConnection>,
    http2: Option<KeptConnection>,
    /// A task closes unused connections in time.
    is_checked: bool,
}

struct KeptConnection {
    connection: Connection,
    /// Not used after this instant.
    until: Instant,
}

impl Pool {
    pub(super) fn new(most: usize, max_age: Duration) -> Arc<Self> {
        Arc::new(Self {
            most,
            max_age,
            kept: Mutex::default(),
        })
    }

    /// Takes a connection that was used before, or `None` if there is no usable one.
    pub(super) fn take(&self) -> Option<Connection> {
        let now = Instant::now();
        let mut kept = self.lock();
        while let Some(last) = kept.http1.pop() {
            if last.is_usable(now) {
                return Some(last.connection);
            }
        }
        let shared = kept.http2.as_mut().filter(|shared| shared.is_usable(now))?;
        shared.until = self.end(&shared.connection, now, None);
        shared.connection.share()
    }

    /// Makes an HTTP/2 connection available to other requests; ignores others.
    pub(super) fn share(self: &Arc<Self>, connection: &Connection) {
        if let Some(connection) = connection.share() {
            self.keep(connection, None);
        }
    }

    /// Keeps a connection for the next request, for the time that its receiver has announced,
    /// less a margin.
    pub(super) fn keep(self: &Arc<Self>, connection: Connection, announced: Option<Duration>) {
        let until = self.end(&connection, Instant::now(), announced);
        let mut kept = self.lock();
        let is_http2 = connection.is_http2();
        let connection = KeptConnection { connection, until };
        if is_http2 {
            kept.http2 = Some(connection);
        } else if kept.http1.len() < self.most {
            kept.http1.push(connection);
        }
        if !kept.is_checked {
            kept.is_checked = true;
            tokio::spawn(close_in_time(Arc::downgrade(self)));
        }
    }

    /// Closes all unused connections. An HTTP/2 connection ends with its last request.
    pub(super) fn close_all(&self) {
        let mut kept = self.lock();
        kept.http1.clear();
        kept.http2 = None;
    }

    /// Returns the instant after which a connection is not used again.
    fn end(&self, connection: &Connection, now: Instant, announced: Option<Duration>) -> Instant {
        let idle = if connection.is_http2() {
            HTTP2_IDLE_LIMIT
        } else {
            idle_limit(announced)
        };
        (now + idle).min(connection.opened + self.max_age)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Closes what can no longer be used; returns true if nothing is left.
    fn close_old(&mut self) -> bool {
        let now = Instant::now();
        self.http1.retain(|kept| kept.is_usable(now));
        self.http2 = self.http2.take().filter(|kept| kept.is_usable(now));
        self.http1.is_empty() && self.http2.is_none()
    }
}

impl KeptConnection {
    fn is_usable(&self, now: Instant) -> bool {
        now < self.until && self.connection.is_ready()
    }
}

/// Returns how long an HTTP/1.1 connection is kept if its receiver closes it after
/// `announced`: a fifth less, since the receiver's clock starts earlier.
fn idle_limit(announced: Option<Duration>) -> Duration {
    announced.map_or(IDLE_LIMIT, |announced| (announced * 4 / 5).min(IDLE_LIMIT))
}

/// Closes unused connections in time, until there are none.
async fn close_in_time(pool: Weak<Pool>) {
    loop {
        sleep(CHECK_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut kept = pool.lock();
        if kept.close_old() {
            kept.is_checked = false;
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_kept_for_less_than_its_receiver_announces_and_less_than_five_seconds() {
        for (announced, kept) in [
            (None, Duration::from_secs(4)),
            (Some(0), Duration::ZERO),
            (Some(1), Duration::from_millis(800)),
            (Some(5), Duration::from_secs(4)),
            (Some(3_600), Duration::from_secs(4)),
        ] {
            let announced = announced.map(Duration::from_secs);
            assert_eq!(idle_limit(announced), kept, "{announced:?}");
        }
    }
}
