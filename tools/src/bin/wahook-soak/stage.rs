//! Servers and programs of the run.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mongodb::bson::doc;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Servers;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::receiver::Receiver;

use crate::arrivals::Arrivals;
use crate::endpoints;
use crate::schedule::Disturbance;

const DATABASE: &str = "wahook-soak";
/// The limit of the tests is too low for the backlog of a closed connection.
const BROKER_MEMORY: &str = "2GB";
/// Time for which MongoDB refuses writes.
const STEPPED_DOWN: u32 = 3;
/// Lifetime of a record in seconds. The log reaches its full size within the warm-up.
const LOG_LIFETIME: i64 = 300;
/// Seconds between two removals of expired records; the default of a minute removes in bursts.
const LOG_CLEANED_EACH: i64 = 5;
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) producer: Program,
    /// Consumer that runs from the start to the end.
    pub(crate) consumer: Program,
    /// Consumer that is restarted; `None` while it does not run.
    restarted: Mutex<Option<Program>>,
    /// Declared after the programs, which end first.
    pub(crate) servers: Servers,
    pub(crate) arrivals: Arc<Arrivals>,
    receiver: Arc<Receiver>,
    /// Number of changes of the endpoints file.
    changes: AtomicU32,
    forgetting: JoinHandle<()>,
    folder: RunFolder,
    /// Seconds for which the producer remembers ids.
    window: u32,
}

impl Stage {
    /// Starts servers and programs. The producer remembers ids for `window` seconds.
    pub(crate) async fn start(window: u32) -> anyhow::Result<Self> {
        let servers = Servers::start().await;
        let limit = ["set_vm_memory_high_watermark", "absolute", BROKER_MEMORY];
        servers.rabbitmq.ctl(&limit).await?;
        let arrivals = Arc::new(Arrivals::new(Instant::now()));
        let receiver = {
            let arrivals = Arc::clone(&arrivals);
            Arc::new(Receiver::answering(move |post| arrivals.answer(post)).await)
        };
        let forgetting = tokio::spawn(forget(Arc::clone(&receiver)));
        let folder = RunFolder::temporary("soak")?;
        fs::write(file_in(&folder), endpoints::file(receiver.address(), 0))?;
        let consumer = consumer(&servers, &folder).await;
        let producer = producer(&servers, window).await;
        let restarted = Mutex::new(Some(self::consumer(&servers, &folder).await));
        let stage = Self {
            producer,
            consumer,
            restarted,
            servers,
            arrivals,
            receiver,
            changes: AtomicU32::new(0),
            forgetting,
            folder,
            window,
        };
        let cleaned = doc! { "setParameter": 1, "ttlMonitorSleepSecs": LOG_CLEANED_EACH };
        let client = stage.servers.mongod.client().await;
        client.database("admin").run_command(cleaned).await?;
        stage.shorten_log().await?;
        Ok(stage)
    }

    /// Replaces all programs by new ones, whose memory has not grown yet.
    pub(crate) async fn replace_programs(&mut self) -> anyhow::Result<()> {
        self.stop_programs().await?;
        self.consumer = consumer(&self.servers, &self.folder).await;
        *self.restarted.get_mut() = Some(consumer(&self.servers, &self.folder).await);
        self.producer = producer(&self.servers, self.window).await;
        self.shorten_log().await
    }

    /// Stops all programs; each must end with exit status 0.
    pub(crate) async fn stop_programs(&self) -> anyhow::Result<()> {
        stop(&self.producer).await?;
        stop(&self.consumer).await?;
        match self.restarted.lock().await.take() {
            Some(restarted) => stop(&restarted).await,
            None => Ok(()),
        }
    }

    /// Process id of the consumer that is restarted; `None` while it does not run.
    pub(crate) fn restarted_pid(&self) -> Option<u32> {
        // Locked during a restart.
        let restarted = self.restarted.try_lock().ok()?;
        restarted.as_ref().map(Program::pid)
    }

    /// Disturbs the system; returns when the programs are ready again.
    pub(crate) async fn disturb(&self, kind: Disturbance) -> anyhow::Result<()> {
        match kind {
            Disturbance::Reload => self.reload().await?,
            Disturbance::Connections => {
                let close = ["close_all_connections", "closed by the soak"];
                self.servers.rabbitmq.ctl(&close).await?;
            }
            Disturbance::StepDown => self.servers.mongod.try_step_down(STEPPED_DOWN).await?,
            Disturbance::Restart => self.restart().await?,
        }
        for program in [&self.producer, &self.consumer] {
            program.wait_ready(AT_LAST).await;
        }
        if let Some(restarted) = &*self.restarted.lock().await {
            restarted.wait_ready(AT_LAST).await;
        }
        // A restarted consumer sets the lifetime of its settings.
        self.shorten_log().await
    }

    async fn reload(&self) -> anyhow::Result<()> {
        let change = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        let file = file_in(&self.folder);
        let new = file.with_extension("new");
        fs::write(&new, endpoints::file(self.receiver.address(), change))?;
        fs::rename(&new, &file)?;
        let restarted = self.restarted.lock().await;
        let restarted = restarted.as_ref().context("the consumer does not run")?;
        for consumer in [&self.consumer, restarted] {
            let before = reloads(consumer).await;
            consumer.hang_up();
            let is_applied = |metrics: &Metrics| reloads_in(metrics) > before;
            consumer.wait_metrics("a reload", AT_LAST, is_applied).await;
        }
        Ok(())
    }

    async fn restart(&self) -> anyhow::Result<()> {
        let mut restarted = self.restarted.lock().await;
        if let Some(running) = restarted.take() {
            stop(&running).await?;
        }
        *restarted = Some(consumer(&self.servers, &self.folder).await);
        Ok(())
    }

    /// Makes MongoDB remove records after minutes instead of days.
    async fn shorten_log(&self) -> anyhow::Result<()> {
        let index = doc! { "name": "createdAt_1", "expireAfterSeconds": LOG_LIFETIME };
        let database = self.servers.mongod.client().await.database(DATABASE);
        let command = doc! { "collMod": "webhooklogs", "index": index };
        let end = Instant::now() + AT_LAST;
        // The consumer creates the index in the background.
        while let Err(error) = database.run_command(command.clone()).await {
            if Instant::now() > end {
                return Err(error).context("the lifetime of records");
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.forgetting.abort();
    }
}

/// Deletes the posts that the receiver keeps for tests.
async fn forget(receiver: Arc<Receiver>) {
    loop {
        sleep(Duration::from_secs(1)).await;
        receiver.forget();
    }
}

fn file_in(folder: &RunFolder) -> PathBuf {
    folder.join("endpoints.toml")
}

/// Starts a consumer and waits until it is ready.
async fn consumer(servers: &Servers, folder: &RunFolder) -> Program {
    let consumer = Program::consumer(&[
        ("AMQP_URL", &servers.rabbitmq.amqp_url()),
        ("MONGODB_URI", &servers.mongod.uri()),
        ("MONGODB_DATABASE", DATABASE),
        ("WEBHOOK_ENDPOINTS", &file_in(folder).display().to_string()),
        ("LOG_RETENTION_DAYS", "1"),
        // The harness keeps log lines in memory.
        ("RUST_LOG", "error,wahook_runtime=info"),
    ])
    .await;
    consumer.wait_ready(AT_LAST).await;
    consumer
}

/// Starts a producer and waits until it is ready.
async fn producer(servers: &Servers, window: u32) -> Program {
    let producer = Program::producer(&[
        ("AMQP_URL", &servers.rabbitmq.amqp_url()),
        ("PRODUCER_DUPLICATE_WINDOW", &window.to_string()),
        ("RUST_LOG", "error,wahook_runtime=info"),
    ])
    .await;
    producer.wait_ready(AT_LAST).await;
    producer
}

/// Stops a program with SIGTERM and expects exit status 0.
async fn stop(program: &Program) -> anyhow::Result<()> {
    program.terminate();
    let status = program.wait_exit(STOPPED_WITHIN).await;
    ensure!(status.success(), "{status}: {}", program.stderr_so_far());
    Ok(())
}

async fn reloads(consumer: &Program) -> f64 {
    reloads_in(&consumer.metrics().await)
}

fn reloads_in(metrics: &Metrics) -> f64 {
    metrics.sum_where("wahook_reloads_total", &[("result", "applied")])
}
