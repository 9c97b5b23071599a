//! Delivery log in the data file.

use std::sync::mpsc;

use tokio::sync::oneshot;
use wahook_delivery_log::{DeliveryLog, LogFuture, LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

use crate::request::Request;

/// Delivery log in the table `webhooklogs`. Clones share the file.
#[derive(Clone)]
pub struct EmbeddedLog {
    requests: mpsc::Sender<Request>,
}

impl EmbeddedLog {
    pub(crate) fn new(requests: mpsc::Sender<Request>) -> Self {
        Self { requests }
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
        let results = results.to_vec();
        Box::pin(self.send(|answer| Request::Write { results, answer }))
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
