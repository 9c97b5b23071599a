//! Start and end of a spool.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use prometheus::Registry;
use tokio::{
    sync::watch,
    task::{JoinHandle, spawn_blocking},
    time::timeout,
};
use wahook_embedded::{Backlog, OpenError, Store};
use wahook_queue::Publisher;
use wahook_runtime::{CheckHandle, clock};

use super::{
    amounts::Amounts,
    file::{Spool, to_gauge},
    forwarder::Forwarder,
    metrics::SpoolMetrics,
    readiness,
};
use crate::{router::EventRouter, settings::SpoolSettings};

/// Open file, with its backlog.
pub(crate) struct OpenSpool {
    store: Store,
    backlog: Backlog,
    max_bytes: u64,
}

/// Spool with its tasks.
pub(crate) struct RunningSpool {
    pub(crate) spool: Arc<Spool>,
    store: Store,
    stop: watch::Sender<bool>,
    forwarder: JoinHandle<()>,
}

/// Error while opening the spool.
#[derive(Debug, thiserror::Error)]
enum UnusableSpool {
    #[error(
        "PRODUCER_SPOOL: {0} is in use by another wahook-producer: each needs a file of its own"
    )]
    InUse(String),
    #[error("PRODUCER_SPOOL: {0} is not a spool: set it to a file of its own")]
    Foreign(String),
    #[error(
        "PRODUCER_SPOOL: {0} is damaged ({1}); restore a backup, or move it away to start with an empty one"
    )]
    Damaged(String, String),
    #[error("PRODUCER_SPOOL: {0}")]
    Other(#[from] OpenError),
}

impl UnusableSpool {
    fn of(path: &Path, error: OpenError) -> Self {
        let path = path.display().to_string();
        match error {
            OpenError::InUse(_) => Self::InUse(path),
            OpenError::Foreign(_) | OpenError::NoSpool(_) => Self::Foreign(path),
            OpenError::Database(_, error) if wahook_embedded::is_damage(&error) => {
                Self::Damaged(path, error.to_string())
            }
            other => Self::Other(other),
        }
    }
}

impl OpenSpool {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// If another process has it open, or it can't be used.
    pub(crate) async fn open(settings: SpoolSettings) -> anyhow::Result<Self> {
        let SpoolSettings { path, max_bytes } = settings;
        let path = std::path::absolute(&path).unwrap_or(path);
        tracing::info!(path = %path.display(), "opening spool");
        let opened = spawn_blocking(move || {
            Store::open_spool(&path).map_err(|error| UnusableSpool::of(&path, error))
        });
        let (store, backlog) = opened.await.context("opening the spool")??;
        if backlog.messages > 0 {
            tracing::warn!(
                events = backlog.messages,
                "spool has events of an earlier process, forwarding them first"
            );
        }
        Ok(Self {
            store,
            backlog,
            max_bytes,
        })
    }

    /// Starts forwarding and reporting.
    ///
    /// # Errors
    /// If the registry holds the metrics already.
    pub(crate) fn run(
        self,
        publisher: &Publisher,
        router: &Arc<EventRouter>,
        registry: &Registry,
        check: CheckHandle,
    ) -> anyhow::Result<RunningSpool> {
        let metrics = SpoolMetrics::register(registry).context("metrics")?;
        metrics.max_bytes.set(to_gauge(self.max_bytes));
        let amounts = Amounts::new(self.max_bytes, self.backlog, clock::now());
        let spool = Arc::new(Spool::new(self.store.queue(), amounts, metrics));
        tokio::spawn(readiness::report(
            Arc::clone(&spool),
            publisher.link(),
            check,
        ));
        let forwarder = Forwarder::new(Arc::clone(&spool), publisher.clone(), Arc::clone(router));
        let (stop, stopped) = watch::channel(false);
        Ok(RunningSpool {
            spool,
            store: self.store,
            stop,
            forwarder: tokio::spawn(forwarder.run(stopped)),
        })
    }
}

impl RunningSpool {
    /// Ends forwarding after the publishes in flight, for at most `limit`, then closes the
    /// file. Events that are left are forwarded after the next start.
    ///
    /// # Errors
    /// If the file's thread panicked.
    pub(crate) async fn close(mut self, limit: Duration) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        if timeout(limit, &mut self.forwarder).await.is_err() {
            self.forwarder.abort();
        }
        let store = self.store;
        spawn_blocking(move || drop(store))
            .await
            .context("closing the spool")
    }
}
