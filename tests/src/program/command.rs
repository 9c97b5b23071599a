//! Command lines of the programs.

use std::process::ExitStatus;
use std::{env, fs};

use nix::sys::signal::Signal;

use super::ProgramName;
use crate::eventually::AT_LAST;
use crate::folder::RunFolder;
use crate::guard::Guarded;
use crate::or_fail;

#[derive(Debug)]
pub struct Command {
    process: Guarded,
    /// Working folder without a `.env`; holds the command's output.
    folder: RunFolder,
}

/// Result of a finished command.
#[derive(Debug)]
pub struct Ran {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Command {
    /// Starts a command with these settings and no others.
    pub async fn start(name: ProgramName, arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        or_fail(name, try_start(name, arguments, settings).await)
    }

    /// Sends SIGKILL; returns after the process has ended.
    pub async fn kill9(&self) {
        or_fail("kill -9 of a command", self.process.kill9().await);
    }

    /// Sends SIGINT, as Ctrl-C does; returns at once.
    pub fn interrupt(&self) {
        let sent = self.process.signal(Signal::SIGINT);
        or_fail("an interrupt", sent.map_err(Into::into));
    }

    pub fn stdout_so_far(&self) -> String {
        self.read("stdout")
    }

    pub fn stderr_so_far(&self) -> String {
        self.read("stderr")
    }

    /// Waits until the command has ended.
    pub async fn finish(self) -> Ran {
        let status = or_fail("a command", self.process.wait_within(AT_LAST).await);
        Ran {
            status,
            stdout: self.stdout_so_far(),
            stderr: self.stderr_so_far(),
        }
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }
}

impl Ran {
    /// Returns the standard output; fails the test if the command failed.
    #[track_caller]
    pub fn printed(&self) -> &str {
        let failure = || anyhow::anyhow!("{}: {}{}", self.status, self.stdout, self.stderr);
        let succeeded = self.status.success().then_some(());
        or_fail("a command", succeeded.ok_or_else(failure));
        &self.stdout
    }
}

async fn try_start(
    name: ProgramName,
    arguments: &[&str],
    settings: &[(&str, &str)],
) -> anyhow::Result<Command> {
    let executable = tokio::task::spawn_blocking(move || name.executable()).await??;
    let folder = RunFolder::temporary(name.as_str())?;
    let stdout = fs::File::create(folder.join("stdout"))?;
    let stderr = fs::File::create(folder.join("stderr"))?;
    let process = Guarded::spawn(executable, |command| {
        command
            .args(arguments)
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .envs(settings.iter().copied())
            .current_dir(folder.path())
            .stdout(stdout)
            .stderr(stderr);
    })?;
    Ok(Command { process, folder })
}
