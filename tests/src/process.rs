//! Processor time and memory of a process.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// Unit of times in `/proc/PID/stat`: 10 ms on every Linux that Rust supports.
const TICK: Duration = Duration::from_millis(10);

/// Returns the processor time used in user and kernel mode.
pub fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_cpu(&stat).context("/proc/PID/stat")
}

/// Returns the current and the peak resident memory, in KiB.
pub fn memory(pid: u32) -> anyhow::Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let value = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let now = value("VmRSS:").context("VmRSS")?;
    Ok((now, value("VmHWM:").context("VmHWM")?))
}

fn parse_cpu(stat: &str) -> Option<Duration> {
    // The name in parentheses can contain any character.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_the_14th_and_15th_field() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(parse_cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse_cpu("12 (a"), None);
    }
}
