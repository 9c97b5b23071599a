//! Processor time, memory, files and connections of a process.

use std::collections::BTreeSet;
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

/// Returns the time for which all processors were busy since the start of the system.
pub fn all_busy() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    parse_busy(&stat).context("/proc/stat")
}

/// Open files, threads and connections of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handles {
    /// Files, sockets included.
    pub files: usize,
    pub threads: usize,
    /// Established TCP connections.
    pub connections: usize,
}

/// Returns the open files, threads and connections.
pub fn handles(pid: u32) -> anyhow::Result<Handles> {
    let mut files = 0;
    let mut sockets = BTreeSet::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        files += 1;
        // The process may close a file while it is listed.
        if let Ok(target) = fs::read_link(file?.path()) {
            sockets.extend(socket(&target.to_string_lossy()));
        }
    }
    let tables = ["tcp", "tcp6"].map(|table| {
        // Without IPv6 the second one is missing.
        fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default()
    });
    let connected = tables.iter().flat_map(|table| established(table));
    Ok(Handles {
        files,
        threads: fs::read_dir(format!("/proc/{pid}/task"))?.count(),
        connections: connected.filter(|inode| sockets.contains(inode)).count(),
    })
}

/// Returns the inode in the target of a link: `socket:[123]`.
fn socket(target: &str) -> Option<u64> {
    let inode = target.strip_prefix("socket:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// Returns the inodes of the established connections in a table of `/proc/PID/net`.
fn established(table: &str) -> impl Iterator<Item = u64> + '_ {
    const ESTABLISHED: &str = "01";
    table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        // State and inode are the 4th and the 10th field.
        let is_established = fields.nth(3)? == ESTABLISHED;
        let inode = fields.nth(5)?.parse().ok()?;
        is_established.then_some(inode)
    })
}

/// Sums user, nice, system, irq, softirq and steal of all processors.
fn parse_busy(stat: &str) -> Option<Duration> {
    const IDLE_AND_WAIT: [usize; 2] = [3, 4];
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let times = all.split_whitespace().take(8).enumerate();
    let busy = times.filter(|(index, _)| !IDLE_AND_WAIT.contains(index));
    let ticks: Option<Vec<u64>> = busy.map(|(_, time)| time.parse().ok()).collect();
    Some(Duration::from_millis(10 * ticks?.iter().sum::<u64>()))
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

    #[test]
    fn busy_time_leaves_out_idle_and_waiting_processors() {
        let stat = "cpu  100 20 30 9000 800 7 3 40 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(parse_busy(stat), Some(TICK * 200));
        assert_eq!(parse_busy("intr 1"), None);
    }

    #[test]
    fn files_threads_and_connections_of_this_process_are_counted() {
        let pid = std::process::id();
        let before = handles(pid).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap();
        let inodes = |process: u32| {
            let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
            established(&table).collect::<BTreeSet<_>>()
        };
        for stream in [&client, &server.0] {
            let fd = std::os::fd::AsRawFd::as_raw_fd(stream);
            let target = fs::read_link(format!("/proc/{pid}/fd/{fd}")).unwrap();
            let inode = socket(&target.to_string_lossy()).unwrap();
            assert!(inodes(pid).contains(&inode), "{target:?}");
        }
        // Other tests of this process open and close files at the same time.
        assert!(before.files > 0 && before.threads > 0);
        assert!(handles(pid).unwrap().connections >= 2);
    }
}
