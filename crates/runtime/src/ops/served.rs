//! Routes and log of a server.

use std::{net::SocketAddr, sync::Arc};

use axum::Router;

use super::refusals::RefusalLog;

/// Address of a client, as an extension of its requests; see [`Served::with_peers`].
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Routes of a server, and the log of the requests that it refuses.
#[derive(Clone)]
pub struct Served {
    pub(super) router: Router,
    pub(super) refusals: Option<Arc<RefusalLog>>,
    pub(super) adds_peers: bool,
    pub(super) title: &'static str,
}

impl Served {
    /// Logs and counts refused requests.
    #[must_use]
    pub fn with_refusals(self, refusals: Arc<RefusalLog>) -> Self {
        let refusals = Some(refusals);
        Self { refusals, ..self }
    }

    /// Adds a [`Peer`] to each request.
    #[must_use]
    pub fn with_peers(self) -> Self {
        Self {
            adds_peers: true,
            ..self
        }
    }

    /// Names this part of the program in the log line with its address.
    #[must_use]
    pub fn titled(self, title: &'static str) -> Self {
        Self { title, ..self }
    }
}

impl From<Router> for Served {
    fn from(router: Router) -> Self {
        Self {
            router,
            refusals: None,
            adds_peers: false,
            title: "listening",
        }
    }
}
