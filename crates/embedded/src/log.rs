//! Delivery log in the data file.

use std::sync::{Arc, mpsc};

use tokio::sync::oneshot;
use wahook_delivery_log::{DeliveryLog, LogFuture, LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId, Redaction};

use crate::request::{Request, Writing};

/// Delivery log in the table `webhooklogs`. Clones share the file.
#[derive(Clone)]
pub struct EmbeddedLog {
    requests: mpsc::Sender<Request>,
    /// Values that records do not keep.
    redaction: Option<Arc<Redaction>>,
}

impl EmbeddedLog {
    pub(crate) fn new(requests: mpsc::Sender<Request>) -> Self {
        Self {
            requests,
            redaction: None,
        }
    }

    /// Sets the values that new records do not keep.
    #[must_use]
    pub fn redacting(self, redaction: Option<Redaction>) -> Self {
        let redaction = redaction.map(Arc::new);
        Self { redaction, ..self }
    }

    async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, LogUnavailable>>) -> Request + Send,
    ) -> Result<T, LogUnavailable> {
        let (answer, answered) = oneshot::channel();
        let gone = || LogUnavailable::File("the store is closed".to_owned());
        self.requests.send(request(answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl DeliveryLog for EmbeddedLog {
    fn write<'a>(&'a self, results: &'a [AttemptResult]) -> LogFuture<'a, WriteReport> {
        let (results, redaction) = (results.to_vec(), self.redaction.clone());
        Box::pin(self.send(|answer| {
            Request::Write(Writing {
                results,
                redaction,
                answer,
            })
        }))
    }

    fn find<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<DeliveryRecord>> {
        let (id, endpoint) = (id.clone(), endpoint.clone());
        Box::pin(self.send(|answer| Request::Find {
            id,
            endpoint,
            answer,
        }))
    }

    fn prepare(&self, retention_days: Option<u32>) -> LogFuture<'_, ()> {
        let days = retention_days;
        Box::pin(self.send(move |answer| Request::Retain { days, answer }))
    }

    fn ping(&self) -> LogFuture<'_, ()> {
        Box::pin(self.send(Request::Ping))
    }
}
