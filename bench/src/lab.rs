//! Programs under test and the servers that they run on.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use mongodb::bson::{Document, doc};
use tokio::net::TcpStream;
use tokio::time::sleep;
use wahook_tests::guard::Guarded;
use wahook_tests::pair::{Place, SECRET, Servers};
use wahook_tests::ports::free_port;
use wahook_tests::program::Program;

use crate::queues::Queues;
use crate::sink::{Behaviour, Sink};

pub(crate) const DATABASE: &str = "wahook-bench";
const BROKER_MEMORY: &str = "6GB";
const UP_WITHIN: Duration = Duration::from_secs(30);

/// Program under test: the real programs or the floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Wahook,
    Floor,
}

impl Subject {
    pub(crate) const BOTH: [Self; 2] = [Self::Floor, Self::Wahook];

    fn queue(self) -> &'static str {
        match self {
            Self::Wahook => "wahook.deliver.default",
            Self::Floor => "floor",
        }
    }
}

/// RabbitMQ and MongoDB for all runs.
pub(crate) struct Lab {
    pub(crate) servers: Servers,
    floor: std::path::PathBuf,
}

/// Process that accepts events.
pub(crate) struct Ingest {
    process: Process,
    pub(crate) address: SocketAddr,
}

/// Process that delivers events.
pub(crate) struct Drain(Process);

enum Process {
    Wahook(Program),
    Floor(Guarded),
}

impl Ingest {
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Drain {
    pub(crate) fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Waits until the consumer is ready. The floor has no readiness check.
    pub(crate) async fn wait_ready(&self) {
        if let Process::Wahook(consumer) = &self.0 {
            consumer.wait_ready(UP_WITHIN).await;
        }
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.0.stop().await
    }
}

impl Process {
    fn pid(&self) -> u32 {
        match self {
            Self::Wahook(program) => program.pid(),
            Self::Floor(process) => process.pid(),
        }
    }

    async fn stop(self) -> anyhow::Result<()> {
        match self {
            Self::Wahook(program) => {
                program.terminate();
                program.wait_exit(UP_WITHIN).await;
            }
            // The floor has no orderly stop.
            Self::Floor(process) => process.kill9().await?,
        }
        Ok(())
    }
}

impl Lab {
    /// Starts the servers and declares all queues before the first measurement.
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("cannot find the path of this program")?;
        let lab = Self {
            servers: Servers::start().await,
            floor: own.with_file_name("wahook-floor"),
        };
        // The memory limit of the tests is too low for a million queued events.
        let limit = ["set_vm_memory_high_watermark", "absolute", BROKER_MEMORY];
        lab.servers.rabbitmq.ctl(&limit).await?;
        lab.declare(Queues::One).await?;
        Ok(lab)
    }

    /// Declares all queues, with those of the endpoint.
    pub(crate) async fn declare(&self, queues: Queues) -> anyhow::Result<()> {
        let sink = Sink::start(Behaviour::default(), Instant::now()).await?;
        let drain = self.drain(Subject::Wahook, &sink, 1, queues).await?;
        drain.wait_ready().await;
        drain.stop().await
    }

    pub(crate) async fn ingest(&self, subject: Subject) -> anyhow::Result<Ingest> {
        let amqp_url = self.servers.rabbitmq.amqp_url();
        if subject == Subject::Floor {
            let port = free_port()?;
            let process = self.floor(&["ingest", "--port", &port.to_string()])?;
            let address = ([127, 0, 0, 1], port).into();
            listens(address, &process).await?;
            let process = Process::Floor(process);
            return Ok(Ingest { process, address });
        }
        let producer = Program::producer(&[
            ("AMQP_URL", &amqp_url),
            ("RUST_LOG", "warn,wahook_runtime=info"),
        ])
        .await;
        producer.wait_ready(UP_WITHIN).await;
        let address = producer.base_url().trim_start_matches("http://").parse()?;
        let process = Process::Wahook(producer);
        Ok(Ingest { process, address })
    }

    pub(crate) async fn drain(
        &self,
        subject: Subject,
        sink: &Sink,
        concurrency: u16,
        queues: Queues,
    ) -> anyhow::Result<Drain> {
        let (url, concurrency) = (sink.url(), concurrency.to_string());
        if subject == Subject::Floor {
            let arguments = ["drain", "--url", &url, "--concurrency", &concurrency];
            return Ok(Drain(Process::Floor(self.floor(&arguments)?)));
        }
        let amqp_url = self.servers.rabbitmq.amqp_url();
        let mongodb_uri = self.servers.mongod.uri();
        let mut settings = vec![
            ("AMQP_URL", amqp_url.as_str()),
            ("MONGODB_URI", &mongodb_uri),
            ("MONGODB_DATABASE", DATABASE),
            ("WEBHOOK_URL", &url),
            ("WEBHOOK_SECRET", SECRET),
            ("WEBHOOK_CONCURRENCY", &concurrency),
            // Log lines of failed attempts would distort the measurement.
            ("RUST_LOG", "warn,wahook_runtime=info"),
        ];
        let (order, lanes) = match queues {
            Queues::One => ("none", 1),
            Queues::Ordered(lanes) => ("chat", lanes),
            Queues::Shared(lanes) => ("none", lanes),
        };
        let lanes = lanes.to_string();
        settings.extend([("WEBHOOK_ORDER", order), ("WEBHOOK_LANES", &lanes)]);
        let consumer = Program::consumer(&settings).await;
        Ok(Drain(Process::Wahook(consumer)))
    }

    /// Starts the whole system in one process, on this data file.
    pub(crate) async fn one_process(&self, sink: &Sink, data: &Path) -> anyhow::Result<Ingest> {
        let (intake, ops) = (free_port()?, free_port()?);
        let program = Program::standalone(&[
            ("WAHOOK_DATA", &data.display().to_string()),
            ("PRODUCER_LISTEN", &format!("127.0.0.1:{intake}")),
            ("CONSUMER_LISTEN", &format!("127.0.0.1:{ops}")),
            ("WEBHOOK_URL", &sink.url()),
            ("WEBHOOK_SECRET", SECRET),
            ("RUST_LOG", "warn,wahook_runtime=info"),
        ])
        .await;
        program.wait_ready(UP_WITHIN).await;
        Ok(Ingest {
            process: Process::Wahook(program),
            address: ([127, 0, 0, 1], intake).into(),
        })
    }

    /// Returns the addresses of the servers.
    pub(crate) fn place(&self) -> Place {
        Place {
            amqp_url: self.servers.rabbitmq.amqp_url(),
            mongodb_uri: self.servers.mongod.uri(),
            database: DATABASE.to_owned(),
        }
    }

    /// Purges the queues and drops the log.
    pub(crate) async fn clear(&self) -> anyhow::Result<()> {
        for subject in Subject::BOTH {
            // The queue may not exist yet.
            let purge = ["purge_queue", subject.queue()];
            let _missing = self.servers.rabbitmq.ctl(&purge).await;
        }
        let client = self.servers.mongod.client().await;
        // The next consumer creates the collection again, with its indexes. After deletes of
        // single records MongoDB would clean up during the next run.
        client
            .database(DATABASE)
            .collection::<Document>("webhooklogs")
            .drop()
            .await?;
        // Writes the dirty pages of the previous run, at no cost to the next.
        let admin = client.database("admin");
        admin.run_command(doc! { "fsync": 1 }).await?;
        Ok(())
    }

    fn floor(&self, arguments: &[&str]) -> anyhow::Result<Guarded> {
        let amqp_url = self.servers.rabbitmq.amqp_url();
        let process = Guarded::spawn(&self.floor, |command| {
            command
                .args(["--amqp-url", &amqp_url])
                .args(arguments)
                .stdout(Stdio::null())
                .stderr(Stdio::inherit());
        });
        process.with_context(|| format!("cannot start {}", self.floor.display()))
    }
}

async fn listens(address: SocketAddr, process: &Guarded) -> anyhow::Result<()> {
    let end = Instant::now() + UP_WITHIN;
    while TcpStream::connect(address).await.is_err() {
        if let Some(status) = process.exit_status() {
            bail!("wahook-floor exited with {status}");
        }
        if Instant::now() > end {
            bail!("wahook-floor did not listen within {UP_WITHIN:?}");
        }
        sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
