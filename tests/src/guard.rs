//! Child processes that never outlive their parent.
//!
//! A watchdog shell holds one end of a pipe, and only this process holds the other. When this
//! process ends for any reason, the pipe breaks and the watchdog kills the child. The child
//! starts as a shell that waits for a line on its standard input before it becomes the program,
//! so that it never runs without a watchdog.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use tokio::sync::watch;

/// Far more than the kernel needs, also while a disk write of the process hangs.
const KILLED_WITHIN: Duration = Duration::from_secs(180);
const GATE: &str = r#"read -r _ || exit 125; exec "$@" </dev/null"#;
/// Ignores the terminal's signals: the watchdog must outlive this process.
const WATCHDOG: &str = r#"trap "" HUP INT TERM; read -r _; kill -9 -"$1" "$1""#;

/// Child in a separate process group. Dropping it kills the group.
#[derive(Debug)]
pub struct Guarded {
    pid: Pid,
    exit: Arc<Mutex<Option<ExitStatus>>>,
    exited: watch::Receiver<Option<ExitStatus>>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    reaper: Option<JoinHandle<()>>,
    /// Watched by the watchdog; breaks when this process ends.
    _lifeline: ChildStdin,
}

impl Guarded {
    /// Starts `program`; `configure` adds its arguments, environment, folder and output.
    /// Its standard input is empty.
    pub fn spawn(
        program: impl AsRef<OsStr>,
        configure: impl FnOnce(&mut Command),
    ) -> io::Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", GATE, "wahook-gate"]).arg(program);
        configure(&mut command);
        command.stdin(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;

        let mut gate = child.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let mut watchdog = Command::new("/bin/sh")
            .args(["-c", WATCHDOG, "wahook-watchdog"])
            .arg(child.id().to_string())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let lifeline = watchdog.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?;
        gate.write_all(b"go\n")?;

        let pid = Pid::from_raw(child.id().cast_signed());
        let exit = Arc::new(Mutex::new(None));
        let (announce, exited) = watch::channel(None);
        let stdout = child.stdout.take();
        let stderr = child.stderr.take();
        let reaper = thread::spawn({
            let exit = Arc::clone(&exit);
            move || reap(pid, child, watchdog, &exit, &announce)
        });
        Ok(Self {
            pid,
            exit,
            exited,
            stdout,
            stderr,
            reaper: Some(reaper),
            _lifeline: lifeline,
        })
    }

    /// Process id of the program itself, not of a shell around it.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// `None` while it runs.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *lock(&self.exit)
    }

    /// Sends a signal to the program itself. Does nothing after its end.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        // The lock prevents that the process is reaped and its id reused meanwhile.
        let exit = lock(&self.exit);
        if exit.is_none() {
            kill(self.pid, signal)?;
        }
        Ok(())
    }

    pub async fn wait(&self) -> anyhow::Result<ExitStatus> {
        let mut exited = self.exited.clone();
        let status = exited.wait_for(Option::is_some).await;
        match status.map(|status| *status) {
            Ok(Some(status)) => Ok(status),
            _ => bail!("the exit status of process {} was not read", self.pid),
        }
    }

    pub async fn wait_within(&self, limit: Duration) -> anyhow::Result<ExitStatus> {
        tokio::time::timeout(limit, self.wait())
            .await
            .with_context(|| format!("process {} is still running after {limit:?}", self.pid))?
    }

    /// Sends SIGKILL and waits until the process has ended.
    pub async fn kill9(&self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait_within(KILLED_WITHIN).await?;
        Ok(())
    }

    /// Sends SIGTERM. After `limit` it sends SIGKILL and returns an error.
    pub async fn terminate(&self, limit: Duration) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        // A frozen process would not handle the signal otherwise.
        self.signal(Signal::SIGCONT)?;
        let ended = self.wait_within(limit).await;
        if ended.is_err() {
            self.kill9().await?;
        }
        ended
    }

    /// Returns the pipe if `configure` requested one.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.stdout.take()
    }

    /// Returns the pipe if `configure` requested one.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.stderr.take()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        {
            let exit = lock(&self.exit);
            if exit.is_none() {
                // Fails only if the process has just ended.
                let _ended = killpg(self.pid, Signal::SIGKILL);
            }
        }
        if let Some(reaper) = self.reaper.take() {
            let _panicked = reaper.join();
        }
    }
}

fn reap(
    pid: Pid,
    mut child: Child,
    mut watchdog: Child,
    exit: &Mutex<Option<ExitStatus>>,
    announce: &watch::Sender<Option<ExitStatus>>,
) {
    // Waits without reaping: until `child.wait` below, the id cannot be reused, so the watchdog
    // and `signal` cannot hit another process.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        .is_err_and(|error| error == nix::Error::EINTR)
    {}
    let mut exit = lock(exit);
    let _already_gone = watchdog.kill();
    let _status = watchdog.wait();
    // Kills the remaining processes of the group.
    let _none_left = killpg(pid, Signal::SIGKILL);
    let status = child.wait().ok();
    *exit = status;
    announce.send_replace(status);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
