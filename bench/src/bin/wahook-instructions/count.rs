//! Instruction counts per path, by valgrind's callgrind.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use crate::path::Path;

/// Events of the shorter run; the longer run has twice as many. A multiple of the log's batch
/// size, and large enough that irregular costs (a growing table) have little weight.
const EVENTS: u32 = 1024;

/// Returns the instructions per event on this path.
pub(crate) fn by_event(path: Path) -> anyhow::Result<u64> {
    let (shorter, longer) = (begin(path, EVENTS)?, begin(path, 2 * EVENTS)?);
    let (shorter, longer) = (shorter.instructions()?, longer.instructions()?);
    let more = longer
        .checked_sub(shorter)
        .context("twice the events took fewer instructions")?;
    Ok(more / u64::from(EVENTS))
}

/// Returns the version of the compiler that cargo uses here.
pub(crate) fn compiler() -> anyhow::Result<String> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&rustc).arg("--version").output();
    let output = output.with_context(|| format!("{rustc} --version"))?;
    ensure!(output.status.success(), "{rustc} --version failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Run under valgrind. Both runs of a path are parallel.
struct Counting(std::process::Child);

/// Starts a run with an environment of `PATH` only: its size would move the stack, and a
/// variable might change the allocator.
fn begin(path: Path, events: u32) -> anyhow::Result<Counting> {
    let this = env::current_exe().context("cannot find the path of this program")?;
    let child = Command::new("valgrind")
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["run", path.name(), &events.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start valgrind; install it with deploy/local/install.sh valgrind")?;
    Ok(Counting(child))
}

impl Counting {
    fn instructions(self) -> anyhow::Result<u64> {
        let output = self.0.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the run failed:\n{said}");
        match collected(&said) {
            Some(instructions) => Ok(instructions),
            None => bail!("valgrind printed no total:\n{said}"),
        }
    }
}

/// Parses callgrind's line `==17== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected : "))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrind_total_is_parsed() {
        let said = "==17== Events    : Ir\n==17== Collected : 123456\n==17== \n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("==17== Events    : Ir\n"), None);
    }
}
