//! Events of earlier processes in the data file, for repeated idempotency keys.

use std::path::Path;

use wahook_domain::{QueuedEvent, UnixMillis};
use wahook_embedded::{EmbeddedReader, OpenError};
use wahook_producer::{EarlierEvents, EarlierFuture};

/// Log in the data file.
pub(crate) struct LoggedEvents(EmbeddedReader);

impl LoggedEvents {
    pub(crate) fn open(data: &Path) -> Result<Self, OpenError> {
        EmbeddedReader::open(data).map(Self)
    }
}

impl EarlierEvents for LoggedEvents {
    fn has_another<'a>(&'a self, event: &'a QueuedEvent, since: UnixMillis) -> EarlierFuture<'a> {
        Box::pin(async move {
            let found = self.0.has_another(event, since).await;
            found.unwrap_or_else(|error| {
                tracing::warn!(%error, id = %event.id, "key of an event not compared with those before the start: the event is accepted; check the data file with `wahook check` if this repeats");
                false
            })
        })
    }
}
