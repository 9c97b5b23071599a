//! How many instructions is it?

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context, bail, ensure};

use crate::path::Path;

/// Events of the shorter run; the longer has twice as many. Whole batches of the log, and
/// enough of them that what is not the same for each (a table that grows) weighs little.
const EVENTS: u32 = 1024;

/// The instructions of one event on this path.
pub(crate) fn by_event(path: Path) -> anyhow::Result<u64> {
    let (shorter, longer) = (begin(path, EVENTS)?, begin(path, 2 * EVENTS)?);
    let (shorter, longer) = (shorter.instructions()?, longer.instructions()?);
    let more = longer
        .checked_sub(shorter)
        .context("twice the events took fewer instructions")?;
    Ok(more / u64::from(EVENTS))
}

/// The compiler that built this: the one that cargo uses here.
pub(crate) fn compiler() -> anyhow::Result<String> {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let output = Command::new(&rustc).arg("--version").output();
    let output = output.with_context(|| format!("{rustc} --version"))?;
    ensure!(output.status.success(), "{rustc} --version failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// A run under valgrind; the two of a path go side by side.
struct Counting(std::process::Child);

/// Nothing of the environment reaches the run: its size would move the stack, and a setting
/// might change what the allocator does.
fn begin(path: Path, events: u32) -> anyhow::Result<Counting> {
    let this = env::current_exe().context("where this program is")?;
    let child = Command::new("valgrind")
        .env_clear()
        .env("PATH", env::var_os("PATH").unwrap_or_default())
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .args(["run", path.name(), &events.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("valgrind (deploy/local/install.sh valgrind installs it)")?;
    Ok(Counting(child))
}

impl Counting {
    fn instructions(self) -> anyhow::Result<u64> {
        let output = self.0.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the run failed:\n{said}");
        match collected(&said) {
            Some(instructions) => Ok(instructions),
            None => bail!("valgrind did not say what it collected:\n{said}"),
        }
    }
}

/// From callgrind's line `==17== Collected : 1234`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("Collected : "))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_collected_is_read() {
        let said = "==17== Events    : Ir\n==17== Collected : 123456\n==17== \n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("==17== Events    : Ir\n"), None);
    }
}
