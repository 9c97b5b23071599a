//! Access to the delivery log, with a limit of questions at the same time.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, sync::Semaphore, task::spawn_blocking, time::timeout};
use wahook_delivery_log::{
    Cursor, DeliverySearch, LogUnavailable, LoggedDelivery, Page, RecentEndpoint, SearchFilter,
    Summary,
};
use wahook_domain::{EndpointName, EventId, UnixMillis};

use crate::failure::Failure;

/// Questions at the same time; further ones wait.
const QUESTIONS: usize = 4;
const WAIT_FOR_TURN: Duration = Duration::from_secs(5);

/// Delivery log. Questions run on threads of their own, because a data file is read by blocking
/// calls, and deliveries may run in the same process.
#[derive(Clone)]
pub(crate) struct Log {
    search: Arc<dyn DeliverySearch>,
    turns: Arc<Semaphore>,
}

impl Log {
    pub(crate) fn new(search: Arc<dyn DeliverySearch>) -> Self {
        let turns = Arc::new(Semaphore::new(QUESTIONS));
        Self { search, turns }
    }

    /// See [`DeliverySearch::search`].
    pub(crate) async fn search(
        &self,
        filter: SearchFilter,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, Failure> {
        self.ask(async move |log| log.search(&filter, cursor.as_ref(), limit).await)
            .await
    }

    /// See [`DeliverySearch::delivery`].
    pub(crate) async fn delivery(
        &self,
        id: EventId,
        endpoint: EndpointName,
    ) -> Result<Option<LoggedDelivery>, Failure> {
        self.ask(async move |log| log.delivery(&id, &endpoint).await)
            .await
    }

    /// See [`DeliverySearch::summary`].
    pub(crate) async fn summary(
        &self,
        since: UnixMillis,
        until: UnixMillis,
    ) -> Result<Summary, Failure> {
        self.ask(async move |log| log.summary(since, until).await)
            .await
    }

    /// See [`DeliverySearch::recent`].
    pub(crate) async fn recent(&self) -> Result<Vec<RecentEndpoint>, Failure> {
        self.ask(async |log| log.recent().await).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl AsyncFnOnce(&dyn DeliverySearch) -> Result<T, LogUnavailable> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = timeout(WAIT_FOR_TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Failure::busy("wait for the other searches to end"));
        };
        let search = Arc::clone(&self.search);
        let asked = spawn_blocking(move || {
            // Until the answer, even if the client disconnects before.
            let _turn = turn;
            Handle::current().block_on(question(search.as_ref()))
        });
        match asked.await {
            Ok(answer) => answer.map_err(|error| Failure::log(&error)),
            // Only while the program ends, or after a panic, which is logged.
            Err(_) => Err(Failure::busy("repeat the request")),
        }
    }
}
