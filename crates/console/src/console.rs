//! Console as a server.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::{net::TcpListener, time::timeout};
use wahook_delivery_log::LogReader;
use wahook_queue::{Publisher, PublisherTask, Topology};
use wahook_runtime::{
    Readiness, Shutdown,
    ops::{self, Served},
};

use crate::{
    Backends, ConsoleSettings,
    give_ups::GiveUps,
    http_api::{self, AppState},
    job_runner::JobRunner,
    jobs::Jobs,
    letter_job::LetterWork,
    live::Live,
    log::Log,
    queues::{NAME, Queues},
    redelivery_job::Resender,
};

/// Time limit for the confirm of a publish.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
/// Time limit for jobs to stop.
const JOBS_LIMIT: Duration = Duration::from_secs(6);
/// Time limit for the last confirms.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Console with an open listener.
pub struct Console {
    listener: TcpListener,
    served: Served,
    live: Arc<Live>,
    runner: JobRunner,
    reader: Arc<dyn LogReader>,
    log: Log,
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
        let (log, queues) = (Log::new(backends.search), Arc::new(queues));
        let jobs = Arc::new(Jobs::new(backends.jobs));
        let runner = JobRunner {
            jobs: Arc::clone(&jobs),
            resender: Resender {
                log: log.clone(),
                stored: queues.stored(),
                publisher: publisher.clone(),
            },
            letters: LetterWork {
                log: log.clone(),
                queues: Arc::clone(&queues),
                publisher: publisher.clone(),
            },
            give_ups: GiveUps {
                log: log.clone(),
                operator: backends.operator.clone(),
            },
            shutdown: shutdown.clone(),
        };
        let state = AppState {
            log: log.clone(),
            queues,
            operator: backends.operator,
            circuits: backends.circuits,
            publisher,
            live: Arc::clone(&live),
            jobs,
            eraser: backends.eraser,
            readiness: readiness.clone(),
            shutdown: shutdown.clone(),
        };
        Ok(Self {
            listener,
            served: Served::from(http_api::router(settings, state)).with_peers(),
            live,
            runner,
            reader: backends.reader,
            log,
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
        let running = tokio::spawn(self.runner.run());
        let following = tokio::spawn(self.live.follow(self.reader, self.log));
        let served = ops::serve(self.listener, self.served, self.shutdown).await;
        following.abort();
        // Jobs stop soon, and are continued by the next console.
        if timeout(JOBS_LIMIT, running).await.is_err() {
            tracing::warn!("console: jobs did not stop in time; they are continued later");
        }
        self.task.close(CLOSE_LIMIT).await;
        served.context("serving the console")
    }
}
