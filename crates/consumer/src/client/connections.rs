//! Connections of an endpoint, each used for a limited time.

use reqwest::Client;
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// HTTP client that is replaced regularly, so that an endpoint whose host moves is
/// followed, and new servers behind a name get their share.
pub(super) struct Connections {
    build: Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>,
    /// Longest time from the first use of a connection to the start of its last request.
    max_age: Duration,
    current: Mutex<Generation>,
}

/// Connections opened since a moment.
struct Generation {
    client: Client,
    since: Instant,
}

impl Connections {
    /// Creates connections by clients that `build` returns.
    pub(super) fn new(
        max_age: Duration,
        build: impl Fn() -> reqwest::Result<Client> + Send + Sync + 'static,
    ) -> reqwest::Result<Self> {
        let current = Generation {
            client: build()?,
            since: Instant::now(),
        };
        Ok(Self {
            build: Box::new(build),
            max_age,
            current: Mutex::new(current),
        })
    }

    /// Returns the client for the next request.
    pub(super) fn client(&self) -> Client {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.since.elapsed() >= self.max_age {
            self.replace(&mut current);
        }
        current.client.clone()
    }

    /// Closes idle connections. Requests in flight end on theirs.
    pub(super) fn close_idle(&self) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(&mut current);
    }

    fn replace(&self, current: &mut Generation) {
        match (self.build)() {
            Ok(client) => current.client = client,
            Err(error) => {
                tracing::warn!(%error, "connections not renewed, the present ones stay in use");
            }
        }
        current.since = Instant::now();
    }
}
