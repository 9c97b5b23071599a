//! Delivery log in the data file.

use std::sync::mpsc;

use tokio::sync::oneshot;
use wahook_delivery_log::{DeliveryLog, LogUnavailable, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};

use crate::engine::Request;

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
        request: impl FnOnce(oneshot::Sender<Result<T, LogUnavailable>>) -> Request,
    ) -> Result<T, LogUnavailable> {
        let (answer, answered) = oneshot::channel();
        let gone = || LogUnavailable::File("the store is closed".to_owned());
        self.requests.send(request(answer)).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl DeliveryLog for EmbeddedLog {
    async fn write(&self, results: &[AttemptResult]) -> Result<WriteReport, LogUnavailable> {
        let results = results.to_vec();
        self.send(|answer| Request::Write { results, answer }).await
    }

    async fn find(
        &self,
        id: &EventId,
        endpoint: &EndpointName,
    ) -> Result<Option<DeliveryRecord>, LogUnavailable> {
        let (id, endpoint) = (id.clone(), endpoint.clone());
        self.send(|answer| Request::Find {
            id,
            endpoint,
            answer,
        })
        .await
    }

    async fn prepare(&self, retention_days: Option<u32>) -> Result<(), LogUnavailable> {
        let days = retention_days;
        self.send(|answer| Request::Retain { days, answer }).await
    }

    async fn ping(&self) -> Result<(), LogUnavailable> {
        self.send(Request::Ping).await
    }
}
