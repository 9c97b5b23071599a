//! Runs the producer or the consumer as a child process.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use wahook_tests::folder::tail;
use wahook_tests::guard::Guarded;
use wahook_tests::http_client::http_client;
use wahook_tests::output::follow;

use crate::places::{Places, setting};

const READY_WITHIN: Duration = Duration::from_secs(60);
/// Added to the shutdown grace of the program, so that it can use all of it.
const STOP_MARGIN: Duration = Duration::from_secs(5);
const DEFAULT_GRACE: u64 = 40;

/// Producer or consumer. Its log goes to a file, its warnings also to the terminal.
#[derive(Debug)]
pub(crate) struct Service {
    name: &'static str,
    process: Guarded,
    base_url: watch::Receiver<Option<String>>,
    log: PathBuf,
}

impl Service {
    /// Starts the program with the environment of this process and the `settings` that have a
    /// value, and waits until it is ready.
    pub(crate) async fn start(
        places: &Places,
        name: &'static str,
        settings: impl IntoIterator<Item = (&'static str, Option<String>)>,
    ) -> anyhow::Result<Self> {
        let log = places.join(&format!("{name}.log"));
        let settings = settings
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        let mut process = Guarded::spawn(places.program(name)?, |command| {
            command
                .envs(settings)
                .env("NO_COLOR", "1")
                .stdout(Stdio::null())
                .stderr(Stdio::piped());
        })?;
        let pipe = process.take_stderr().context("no stderr")?;
        let base_url = follow(pipe, keep_and_warn(name, &log)?);
        let service = Self {
            name,
            process,
            base_url,
            log,
        };
        service.wait_ready().await?;
        println!("  {name} is ready (log: {})", service.log.display());
        Ok(service)
    }

    /// Returns the base URL; empty until the program listens.
    pub(crate) fn base_url(&self) -> String {
        self.base_url.borrow().clone().unwrap_or_default()
    }

    /// Waits until the program exits by itself, which is an error.
    pub(crate) async fn ended_early(&self) -> anyhow::Error {
        match self.process.wait().await {
            Ok(status) => self.post_mortem(status),
            Err(error) => error,
        }
    }

    /// Stops the program and waits until it has drained and exited.
    pub(crate) async fn stop(&self) -> anyhow::Result<()> {
        let grace = setting("SHUTDOWN_GRACE").and_then(|seconds| seconds.parse().ok());
        let limit = Duration::from_secs(grace.unwrap_or(DEFAULT_GRACE)) + STOP_MARGIN;
        let status = self.process.terminate(limit).await?;
        if !status.success() {
            bail!(self.post_mortem(status));
        }
        Ok(())
    }

    async fn wait_ready(&self) -> anyhow::Result<()> {
        let becoming_ready = timeout(READY_WITHIN, async {
            let mut base_url = self.base_url.clone();
            // Without a sender the program has exited; the other branch reports that.
            if base_url.wait_for(Option::is_some).await.is_err() {
                std::future::pending::<()>().await;
            }
            let client = http_client()?;
            let url = format!("{}/readyz", self.base_url());
            while !client
                .get(&url)
                .send()
                .await
                .is_ok_and(|answer| answer.status().is_success())
            {
                sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        });
        tokio::select! {
            ready = becoming_ready => ready.with_context(|| {
                let last_lines = tail(&self.log, 12);
                format!("{} was not ready within {READY_WITHIN:?}:\n{last_lines}", self.name)
            })?,
            error = self.ended_early() => Err(error),
        }
    }

    fn post_mortem(&self, status: ExitStatus) -> anyhow::Error {
        let log = self.log.display();
        let last_lines = tail(&self.log, 12);
        anyhow::anyhow!(
            "{} exited with {status}; last lines of {log}:\n{last_lines}",
            self.name
        )
    }
}

/// Writes every line to the log file, and warnings and errors also to the terminal.
fn keep_and_warn(
    name: &'static str,
    log: &Path,
) -> anyhow::Result<impl FnMut(&str) + Send + use<>> {
    let mut file = File::create(log).with_context(|| log.display().to_string())?;
    Ok(move |line: &str| {
        // Ignored: a full disk must not stop the program.
        let _kept = file.write_all(line.as_bytes());
        if ["WARN", "ERROR"].iter().any(|level| line.contains(level)) {
            println!("  [{name}] {}", line.trim_end());
        }
    })
}
