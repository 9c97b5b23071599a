//! Programs under test, as separate processes that a test can kill.

mod command;
mod executable;
mod metrics;

use std::ffi::OsString;
use std::io::Write;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, fs};

use anyhow::{Context, bail};
use nix::sys::signal::Signal;
use tokio::sync::watch;

use crate::eventually::{AT_LAST, eventually};
use crate::folder::RunFolder;
use crate::guard::Guarded;
use crate::http_client::http_client;
use crate::memory_limit::MemoryLimit;
use crate::small_disk::SmallDisk;
use crate::{or_fail, output};
pub use command::{Command, Ran};
pub use executable::ProgramName;
pub use metrics::Metrics;

const LISTENING_WITHIN: Duration = Duration::from_secs(120);

/// Running or ended program.
#[derive(Debug)]
pub struct Program {
    name: ProgramName,
    process: Guarded,
    stderr: Arc<Mutex<String>>,
    base_url: watch::Receiver<Option<String>>,
    client: reqwest::Client,
    /// Working folder; empty, so that no `.env` adds settings.
    _folder: RunFolder,
}

impl Program {
    /// Starts a producer with these settings and no others, on a free port unless
    /// `PRODUCER_LISTEN` is given; returns when it listens, ready or not.
    pub async fn producer(settings: &[(&str, &str)]) -> Self {
        Self::listening(ProgramName::Producer, settings).await
    }

    /// Starts a consumer with these settings and no others, on a free port unless
    /// `CONSUMER_LISTEN` is given; returns when it listens, ready or not.
    pub async fn consumer(settings: &[(&str, &str)]) -> Self {
        Self::listening(ProgramName::Consumer, settings).await
    }

    /// Starts the test receiver with these settings and no others, on a free port unless
    /// `RECEIVER_ADDRESS` is given; returns when it listens.
    pub async fn receiver(settings: &[(&str, &str)]) -> Self {
        Self::listening(ProgramName::Receiver, settings).await
    }

    /// Starts the console with these settings and no others, on a free port unless
    /// `CONSOLE_LISTEN` is given; returns when it listens.
    pub async fn console(settings: &[(&str, &str)]) -> Self {
        Self::listening(ProgramName::Console, settings).await
    }

    /// Starts the whole system in one process with these settings and no others; returns
    /// when it listens, ready or not. `CONSUMER_LISTEN` has to be given.
    /// The console is off unless `CONSOLE_LISTEN` is given.
    pub async fn standalone(settings: &[(&str, &str)]) -> Self {
        Self::listening(ProgramName::Standalone, settings).await
    }

    /// Starts the standalone system in the namespace of a disk that can be filled.
    pub async fn standalone_on(disk: &SmallDisk, settings: &[(&str, &str)]) -> Self {
        Self::listening_on(ProgramName::Standalone, disk, settings).await
    }

    /// Starts a producer in the namespace of a disk that can be filled.
    pub async fn producer_on(disk: &SmallDisk, settings: &[(&str, &str)]) -> Self {
        Self::listening_on(ProgramName::Producer, disk, settings).await
    }

    /// Starts a program within a memory limit; returns when it listens, ready or not.
    pub async fn limited(
        name: ProgramName,
        limit: &MemoryLimit,
        settings: &[(&str, &str)],
    ) -> Self {
        Self::listening_by(name, limit.enter(), settings).await
    }

    async fn listening_on(name: ProgramName, disk: &SmallDisk, settings: &[(&str, &str)]) -> Self {
        Self::listening_by(name, disk.enter(), settings).await
    }

    /// Starts a program by a command prefix.
    async fn listening_by(
        name: ProgramName,
        prefix: Vec<OsString>,
        settings: &[(&str, &str)],
    ) -> Self {
        let program = or_fail(name, try_launch(name, prefix, settings).await);
        let listening = program.wait_listening().await;
        or_fail(name, listening.with_context(|| program.stderr_so_far()));
        program
    }

    /// Starts a program without waiting, for tests of its refusal to start.
    pub async fn launch(name: ProgramName, settings: &[(&str, &str)]) -> Self {
        or_fail(name, try_launch(name, Vec::new(), settings).await)
    }

    async fn listening(name: ProgramName, settings: &[(&str, &str)]) -> Self {
        Self::listening_by(name, Vec::new(), settings).await
    }

    async fn wait_listening(&self) -> anyhow::Result<()> {
        let mut base_url = self.base_url.clone();
        tokio::select! {
            listening = base_url.wait_for(Option::is_some) => {
                listening.context("its stderr ended").map(|_| ())
            }
            ended = self.process.wait() => bail!("the program ended with {}", ended?),
            () = tokio::time::sleep(LISTENING_WITHIN) => {
                bail!("not listening within {LISTENING_WITHIN:?}")
            }
        }
    }

    /// URL of the first server that the program opened, e.g. `http://127.0.0.1:12345`.
    pub fn base_url(&self) -> String {
        let base_url = self.base_url.borrow().clone();
        or_fail(
            self.name,
            base_url.context("the program does not listen yet"),
        )
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGKILL; returns after the process has ended.
    pub async fn kill9(&self) {
        or_fail(self.name, self.process.kill9().await);
    }

    /// Sends SIGTERM; returns at once.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Sends SIGINT; returns at once.
    pub fn interrupt(&self) {
        self.signal(Signal::SIGINT);
    }

    /// Sends SIGHUP, which reloads the endpoints file; returns at once.
    pub fn hang_up(&self) {
        self.signal(Signal::SIGHUP);
    }

    /// Sends SIGSTOP to freeze the program.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Sends SIGCONT to end a freeze.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    pub fn is_running(&self) -> bool {
        self.process.exit_status().is_none()
    }

    /// Waits until the program has ended and its standard error is read.
    pub async fn wait_exit(&self, deadline: Duration) -> ExitStatus {
        let ended = self.process.wait_within(deadline).await;
        let mut base_url = self.base_url.clone();
        // The sender is dropped at the end of the pipe.
        let rest_of_stderr = async { while base_url.changed().await.is_ok() {} };
        let _still_held = tokio::time::timeout(deadline, rest_of_stderr).await;
        or_fail(self.name, ended.with_context(|| self.stderr_so_far()))
    }

    /// Waits until the standard error has this text, and returns all of it. A program may log
    /// something after it shows it in another way.
    pub async fn wait_logged(&self, text: &str) -> String {
        let end = Instant::now() + AT_LAST;
        while Instant::now() < end {
            let log = self.stderr_so_far();
            if log.contains(text) {
                return log;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let log = self.stderr_so_far();
        let failure = anyhow::anyhow!("{text:?} is not logged within {AT_LAST:?}:\n{log}");
        or_fail(self.name, Err(failure))
    }

    /// Returns the standard error so far.
    pub fn stderr_so_far(&self) -> String {
        let stderr = self.stderr.lock();
        stderr.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until `/readyz` answers 200.
    pub async fn wait_ready(&self, deadline: Duration) {
        let url = format!("{}/readyz", self.base_url());
        let end = Instant::now() + deadline;
        let mut last = "no answer".to_owned();
        while Instant::now() < end && self.is_running() {
            match self.client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return,
                Ok(answer) => {
                    let status = answer.status();
                    last = format!("{status} {}", answer.text().await.unwrap_or_default());
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let stderr = self.stderr_so_far();
        let failure = anyhow::anyhow!("not ready within {deadline:?}: {last}\n{stderr}");
        or_fail(self.name, Err::<(), _>(failure));
    }

    /// Returns the current samples of `/metrics`.
    pub async fn metrics(&self) -> Metrics {
        or_fail(self.name, self.try_metrics().await)
    }

    /// Waits until the samples of `/metrics` match `is_enough`.
    pub async fn wait_metrics(
        &self,
        what: &str,
        deadline: Duration,
        is_enough: impl Fn(&Metrics) -> bool,
    ) -> Metrics {
        eventually(deadline, what, || async {
            self.try_metrics()
                .await
                .ok()
                .filter(|metrics| is_enough(metrics))
        })
        .await
    }

    async fn try_metrics(&self) -> anyhow::Result<Metrics> {
        let url = format!("{}/metrics", self.base_url());
        let answer = self.client.get(url).send().await?.error_for_status()?;
        Metrics::parse(&answer.text().await?)
    }

    fn signal(&self, signal: Signal) {
        or_fail(self.name, self.process.signal(signal).map_err(Into::into));
    }
}

async fn try_launch(
    name: ProgramName,
    mut line: Vec<OsString>,
    settings: &[(&str, &str)],
) -> anyhow::Result<Program> {
    let executable = tokio::task::spawn_blocking(move || name.executable()).await??;
    let folder = RunFolder::temporary(name.as_str())?;
    line.push(executable.into_os_string());
    let (first, rest) = line.split_first().context("no program")?;
    let mut process = Guarded::spawn(first, |command| {
        command
            .args(rest)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("NO_COLOR", "1")
            .env("RUST_BACKTRACE", "1")
            // Only for tests that give it an address; overridden for the console itself.
            .env("CONSOLE_LISTEN", "off")
            .env(name.listen_variable(), "127.0.0.1:0")
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
    })?;
    let stderr = Arc::new(Mutex::new(String::new()));
    let pipe = process.take_stderr().context("no stderr")?;
    // A copy for analysis: the folder of a failed test is kept.
    let mut file = fs::File::create(folder.join("stderr"))?;
    let base_url = output::follow(pipe, {
        let stderr = Arc::clone(&stderr);
        move |line| {
            let _disk_full = file.write_all(line.as_bytes());
            let mut stderr = stderr.lock().unwrap_or_else(PoisonError::into_inner);
            stderr.push_str(line);
        }
    });
    Ok(Program {
        name,
        process,
        stderr,
        base_url,
        client: http_client()?,
        _folder: folder,
    })
}
