//! Memory limit of a program, enforced by the kernel.
//!
//! A control group is removed with its limit, also after a panic. One that a killed test process
//! left is removed when the next one is created.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

/// Start of the name of a group; the process id of its creator follows.
const PREFIX: &str = "wahook-test-";
/// Limit of the wait for processes that were killed and are still in a group.
const LEFT_WITHIN: Duration = Duration::from_secs(10);

/// Moves the shell into a control group before it becomes the program.
const ENTER_GROUP: &str = r#"echo $$ >"$1" && shift && exec "$@""#;
/// Limits private memory before the shell becomes the program.
const LIMIT_DATA: &str = r#"ulimit -d "$1" && shift && exec "$@""#;

/// Limit for the programs that are started with [`Self::enter`].
#[derive(Debug)]
pub struct MemoryLimit {
    kib: u64,
    /// Group of this limit; `None` if this process may not create one.
    group: Option<PathBuf>,
}

impl MemoryLimit {
    /// Creates a control group below that of this process. Without the permission, the limit
    /// is that of private memory (`RLIMIT_DATA`), beyond which allocations fail.
    pub fn new(kib: u64) -> Self {
        let group = create_group(kib).ok();
        Self { kib, group }
    }

    pub fn kib(&self) -> u64 {
        self.kib
    }

    /// Names what enforces the limit.
    pub fn kind(&self) -> &'static str {
        match self.group {
            Some(_) => "a control group",
            None => "RLIMIT_DATA",
        }
    }

    /// Command prefix that runs a program within the limit.
    pub(crate) fn enter(&self) -> Vec<OsString> {
        let (script, argument) = match &self.group {
            Some(group) => (ENTER_GROUP, group.join("cgroup.procs").into_os_string()),
            None => (LIMIT_DATA, self.kib.to_string().into()),
        };
        let shell = ["sh", "-c", script, "limited"].map(OsString::from);
        shell.into_iter().chain([argument]).collect()
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        let Some(group) = &self.group else {
            return;
        };
        let end = Instant::now() + LEFT_WITHIN;
        while let Err(error) = fs::remove_dir(group)
            && error.kind() == ErrorKind::ResourceBusy
            && Instant::now() < end
        {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Creates a control group of version 1 or 2.
fn create_group(kib: u64) -> anyhow::Result<PathBuf> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let (folder, file) = own.lines().find_map(memory_group).context("no group")?;
    remove_left_behind(&folder);
    let group = folder.join(format!("{PREFIX}{}-{number}", std::process::id()));
    fs::create_dir(&group)?;
    let limit = group.join(file);
    // Writing would create the file on a file system that is no control group.
    let limited = limit
        .exists()
        .then(|| fs::write(&limit, (kib << 10).to_string()));
    if !matches!(limited, Some(Ok(()))) {
        fs::remove_dir(&group)?;
    }
    limited.context("no memory controller")??;
    Ok(group)
}

/// Removes the groups of test processes that have ended.
fn remove_left_behind(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let creator = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let creator = creator.and_then(|rest| rest.split('-').next());
        if creator.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            // Fails while a process is in it.
            let _in_use = fs::remove_dir(entry.path());
        }
    }
}

/// Returns the folder of a line of `/proc/self/cgroup` and the file of its memory limit.
fn memory_group(line: &str) -> Option<(PathBuf, &'static str)> {
    let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
    let root = Path::new("/sys/fs/cgroup");
    let (root, file) = match controllers {
        "" => (root.to_owned(), "memory.max"),
        "memory" => (root.join("memory"), "memory.limit_in_bytes"),
        _ => return None,
    };
    let group = root.join(path.trim_start_matches('/'));
    // On systems with both versions, memory belongs to one of them.
    let is_there = file == "memory.limit_in_bytes" || group.join("memory.stat").exists();
    is_there.then_some((group, file))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_group_ends_with_its_limit_also_after_a_panic() {
        let limit = MemoryLimit::new(1 << 20);
        let Some(group) = limit.group.clone() else {
            return;
        };
        let folder = group.parent().unwrap();
        // No process has this id.
        let left_behind = folder.join(format!("{PREFIX}0-0"));
        fs::create_dir(&left_behind).unwrap();
        let panicked = std::panic::catch_unwind(move || {
            let limit = limit;
            assert!(greedy(&limit) && limit.group.is_none());
        });
        assert!(panicked.is_err());
        assert!(!group.exists());
        drop(MemoryLimit::new(1 << 20));
        assert!(!left_behind.exists());
    }

    /// A shell that takes about 100 MB.
    fn greedy(limit: &MemoryLimit) -> bool {
        let mut line = limit.enter().into_iter();
        let shell = line.next().unwrap();
        let script = "a=$(head -c 100000000 /dev/zero | tr '\\0' a); : \"$a\"";
        let mut command = Command::new(shell);
        command.args(line).args(["sh", "-c", script]);
        command.status().unwrap().success()
    }

    #[test]
    fn a_program_fails_beyond_its_limit_and_runs_within_it() {
        for (kib, is_enough) in [(20 << 10, false), (1 << 20, true)] {
            let either = MemoryLimit::new(kib);
            assert_eq!(greedy(&either), is_enough, "{}", either.kind());
            let data = MemoryLimit { kib, group: None };
            assert_eq!(greedy(&data), is_enough, "{}", data.kind());
        }
    }
}
