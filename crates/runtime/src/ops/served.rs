//! Routes and log of a server.

use std::sync::Arc;

use axum::Router;

use super::refusals::RefusalLog;

/// Routes of a server, and the log of the requests that it refuses.
#[derive(Clone)]
pub struct Served {
    pub(super) router: Router,
    pub(super) refusals: Option<Arc<RefusalLog>>,
}

impl Served {
    /// Logs and counts refused requests.
    #[must_use]
    pub fn with_refusals(self, refusals: Arc<RefusalLog>) -> Self {
        let refusals = Some(refusals);
        Self { refusals, ..self }
    }
}

impl From<Router> for Served {
    fn from(router: Router) -> Self {
        let refusals = None;
        Self { router, refusals }
    }
}
