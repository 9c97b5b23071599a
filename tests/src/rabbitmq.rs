//! Private RabbitMQ process that a test can kill, freeze and restart.

mod installation;
mod members;
mod node;
mod options;

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::folder::{RunFolder, tail};
use crate::guard::Guarded;
use crate::or_fail;
pub use installation::is_of_clusters;
use node::{Identity, Node};
pub use options::BrokerOptions;

/// A node starts in 3 to 8 s on two cores; the margin is for a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(300);
const STOPPED_WITHIN: Duration = Duration::from_secs(120);
/// Exit status of `rabbitmqctl` if it cannot reach the node in time; then it has done nothing.
const UNAVAILABLE: i32 = 69;
const CTL_REPEATS: u32 = 5;

/// Broker that runs, or was killed and can be restarted.
#[derive(Debug)]
pub struct RabbitMq {
    /// `None` between a kill or stop and the restart.
    beam: Mutex<Option<Guarded>>,
    /// Port mapper, shared by the nodes of a cluster.
    epmd: Arc<Guarded>,
    node: Node,
    /// Declared last: removed after the processes have ended.
    folder: RunFolder,
}

impl RabbitMq {
    /// Starts an empty broker without plugins; fails the test if it does not start.
    pub async fn start() -> Self {
        Self::start_with(BrokerOptions::default()).await
    }

    pub async fn start_with(options: BrokerOptions) -> Self {
        let started = async {
            let folder = RunFolder::of_server("rabbitmq")?;
            Self::try_start(folder, options).await
        };
        or_fail("RabbitMQ did not start", started.await)
    }

    /// Starts a broker in `folder` with the data in it.
    pub async fn try_start(folder: RunFolder, options: BrokerOptions) -> anyhow::Result<Self> {
        let mut tries_left = 3;
        loop {
            tries_left -= 1;
            let node = Node::prepare(&folder, &options, Identity::single(&folder)?)?;
            match launch(&node).await {
                Ok((epmd, beam)) => {
                    return Ok(Self {
                        beam: Mutex::new(Some(beam)),
                        epmd: Arc::new(epmd),
                        node,
                        folder,
                    });
                }
                // Most likely another process has taken one of the ports.
                Err(_) if tries_left > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub fn amqp_url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.node.amqp_port)
    }

    pub fn port(&self) -> u16 {
        self.node.amqp_port
    }

    /// Process id of the Erlang VM; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.beam().as_ref().map(Guarded::pid)
    }

    /// Port of the metrics, served with [`BrokerOptions::with_metrics`].
    pub fn metrics_port(&self) -> u16 {
        self.node.metrics_port
    }

    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// Sends SIGKILL to the Erlang VM; returns after the process has ended.
    pub async fn kill9(&self) {
        or_fail("kill -9 of RabbitMQ", self.try_kill9().await);
    }

    /// Stops the broker in order; returns after the process has ended.
    pub async fn stop(&self) {
        or_fail("stop of RabbitMQ", self.try_stop().await);
    }

    /// Restarts the node on the same port with the same data; returns when it is ready.
    pub async fn restart(&self) {
        or_fail("restart of RabbitMQ", self.try_restart().await);
    }

    /// Sends SIGSTOP: connections stay open, but nothing is answered.
    pub fn freeze(&self) {
        or_fail("freeze of RabbitMQ", self.signal(Signal::SIGSTOP));
    }

    /// Sends SIGCONT to end a freeze.
    pub fn thaw(&self) {
        or_fail("thaw of RabbitMQ", self.signal(Signal::SIGCONT));
    }

    /// Runs `rabbitmqctl` and returns its output. Takes about 1 s.
    pub async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.run("rabbitmqctl", arguments).await
    }

    /// Runs a command-line tool and returns its output.
    async fn run(&self, tool: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let mut output = self.run_once(tool, arguments).await?;
        for _ in 0..CTL_REPEATS {
            if output.status.code() != Some(UNAVAILABLE) || !self.is_running() {
                break;
            }
            output = self.run_once(tool, arguments).await?;
        }
        if !output.status.success() {
            bail!(
                "{tool} {}: {}{}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    async fn run_once(&self, tool: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        let mut command = Command::new(self.node.installation.script(tool));
        self.node.environment(&mut command);
        command
            .args(["--quiet", "--timeout", "30"])
            .args(arguments)
            .stdin(Stdio::null());
        Ok(tokio::task::spawn_blocking(move || command.output()).await??)
    }

    /// Returns ready and unacknowledged messages by queue. The broker refreshes the figures of
    /// quorum queues once a second, so wait for the expected figure, not for its absence.
    pub async fn queue_depths(&self) -> BTreeMap<String, (u64, u64)> {
        let columns = [
            "list_queues",
            "name",
            "messages_ready",
            "messages_unacknowledged",
            "--formatter=json",
        ];
        let listed = async { parse_depths(&self.ctl(&columns).await?) };
        or_fail("list_queues", listed.await)
    }

    pub async fn try_kill9(&self) -> anyhow::Result<()> {
        match self.take_beam() {
            Some(beam) => beam.kill9().await,
            None => Ok(()),
        }
    }

    pub async fn try_stop(&self) -> anyhow::Result<()> {
        let Some(beam) = self.take_beam() else {
            return Ok(());
        };
        beam.terminate(STOPPED_WITHIN).await?;
        Ok(())
    }

    pub async fn try_restart(&self) -> anyhow::Result<()> {
        self.try_stop().await?;
        let beam = launch_beam(&self.node, &self.epmd).await?;
        *self.beam() = Some(beam);
        Ok(())
    }

    /// Returns true while the Erlang VM runs, frozen or not.
    pub fn is_running(&self) -> bool {
        self.beam()
            .as_ref()
            .is_some_and(|beam| beam.exit_status().is_none())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let beam = self.beam();
        let beam = beam.as_ref().context("it is not running")?;
        Ok(beam.signal(signal)?)
    }

    fn take_beam(&self) -> Option<Guarded> {
        self.beam().take()
    }

    fn beam(&self) -> MutexGuard<'_, Option<Guarded>> {
        self.beam.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn launch(node: &Node) -> anyhow::Result<(Guarded, Guarded)> {
    let epmd = node.spawn_epmd()?;
    let beam = launch_beam(node, &epmd).await?;
    Ok((epmd, beam))
}

async fn launch_beam(node: &Node, epmd: &Guarded) -> anyhow::Result<Guarded> {
    let beam = node.spawn_beam()?;
    let end = Instant::now() + READY_WITHIN;
    while !speaks_amqp(node.amqp_port).await {
        let trouble = if let Some(status) = beam.exit_status() {
            format!("the broker ended with {status}")
        } else if let Some(status) = epmd.exit_status() {
            format!("its epmd ended with {status}")
        } else if Instant::now() > end {
            format!("not ready within {READY_WITHIN:?}")
        } else {
            sleep(Duration::from_millis(20)).await;
            continue;
        };
        let output = tail(&node.output_file(), 12);
        bail!("{trouble}; its last output:\n{output}");
    }
    Ok(beam)
}

/// Returns true if the broker answers the protocol header with a method frame
/// (`Connection.Start`); an open port alone is not enough.
async fn speaks_amqp(port: u16) -> bool {
    let greeted = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        stream.read_u8().await
    };
    const METHOD_FRAME: u8 = 1;
    matches!(
        timeout(Duration::from_secs(2), greeted).await,
        Ok(Ok(METHOD_FRAME))
    )
}

fn parse_depths(json: &str) -> anyhow::Result<BTreeMap<String, (u64, u64)>> {
    let rows: Vec<Value> =
        serde_json::from_str(json).with_context(|| format!("not JSON: {json}"))?;
    let figure = |row: &Value, name: &str| row.get(name).and_then(Value::as_u64).unwrap_or(0);
    Ok(rows
        .iter()
        .filter_map(|row| {
            let name = row.get("name")?.as_str()?.to_owned();
            let depths = (
                figure(row, "messages_ready"),
                figure(row, "messages_unacknowledged"),
            );
            Some((name, depths))
        })
        .collect())
}
