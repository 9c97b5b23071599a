//! Console as a server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::net::TcpListener;
use wahook_delivery_log::LogReader;
use wahook_queue::{Publisher, PublisherTask, Topology};
use wahook_runtime::{
    Readiness, Shutdown,
    ops::{self, Served},
};

use crate::{
    Backends, ConsoleSettings,
    http_api::{self, Parts},
    live::Live,
    log::Log,
    queues::{NAME, Queues},
};

/// Time limit for the confirm of a publish.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for the last confirms.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Console with an open listener.
pub struct Console {
    listener: TcpListener,
    served: Served,
    live: Arc<Live>,
    reader: Arc<dyn LogReader>,
    readiness: Readiness,
    task: PublisherTask,
    shutdown: Shutdown,
}

impl Console {
    /// Opens the listener, and starts connecting to the broker in the background.
    ///
    /// # Errors
    /// If the address can't be bound.
    pub async fn bind(
        settings: ConsoleSettings,
        backends: Backends,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let listener = settings.listen.bind().await.context("CONSOLE_LISTEN")?;
        let queues = Queues::new(backends.broker.clone(), backends.stored);
        let topology = Topology::default();
        let (publisher, task) = Publisher::start(backends.broker, NAME, topology, CONFIRM_LIMIT);
        let live = Live::new(shutdown.clone());
        let readiness = Readiness::new();
        let parts = Parts {
            log: Log::new(backends.search),
            queues: Arc::new(queues),
            operator: backends.operator,
            publisher,
            live: Arc::clone(&live),
            readiness: readiness.clone(),
            shutdown: shutdown.clone(),
        };
        Ok(Self {
            listener,
            served: Served::from(http_api::router(settings, parts)).with_peers(),
            live,
            reader: backends.reader,
            readiness,
            task,
            shutdown,
        })
    }

    /// Returns the address of the listener.
    ///
    /// # Errors
    /// If the listener no longer has an address.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Names the console in the log line with its address, as a part of another program.
    #[must_use]
    pub fn as_part(self) -> Self {
        let served = self.served.titled("console");
        Self { served, ..self }
    }

    /// Serves until the shutdown.
    ///
    /// # Errors
    /// If the listener no longer has an address.
    pub async fn serve(self) -> anyhow::Result<()> {
        let (stopping, readiness) = (self.shutdown.clone(), self.readiness);
        tokio::spawn(async move {
            stopping.soft().await;
            readiness.stopping();
        });
        let following = tokio::spawn(self.live.follow(self.reader));
        let served = ops::serve(self.listener, self.served, self.shutdown).await;
        following.abort();
        self.task.close(CLOSE_LIMIT).await;
        served.context("serving the console")
    }
}
