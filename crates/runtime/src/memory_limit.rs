//! Memory limit of the control group of this process: the limit of its container or service.

use std::{fs, path::Path};

/// Values from here on mean "no limit" in version 1 of control groups.
const UNLIMITED: u64 = 1 << 60;

/// Returns the lowest memory limit in bytes; `None` without one, and on other systems than Linux.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    lowest_limit(|file| fs::read_to_string(file).ok())
}

/// Returns the lowest limit of the groups and those above them. A container sees its own group
/// as the topmost one.
fn lowest_limit(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup"))?;
    let root = Path::new("/sys/fs/cgroup");
    let limits = groups.lines().filter_map(|line| {
        let (_, group) = line.split_once(':')?;
        let (controllers, path) = group.split_once(':')?;
        let (folder, file) = if controllers.is_empty() {
            (root.to_path_buf(), "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            (root.join("memory"), "memory.limit_in_bytes")
        } else {
            return None;
        };
        let group = folder.join(path.trim_start_matches('/'));
        let above = group.ancestors().filter(|group| group.starts_with(&folder));
        let limits = above.filter_map(|group| read(&group.join(file))?.trim().parse::<u64>().ok());
        limits.filter(|limit| *limit < UNLIMITED).min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(files: &[(&str, &str)]) -> Option<u64> {
        lowest_limit(|file| {
            let found = files.iter().find(|(name, _)| Path::new(name) == file)?;
            Some(found.1.to_owned())
        })
    }

    #[test]
    fn lowest_limit_of_version_2_is_found_above_the_group() {
        let groups = ("/proc/self/cgroup", "0::/system.slice/wahook.service\n");
        let slice = ("/sys/fs/cgroup/system.slice/memory.max", "900\n");
        let own = "/sys/fs/cgroup/system.slice/wahook.service/memory.max";
        assert_eq!(limit(&[groups]), None);
        assert_eq!(limit(&[groups, slice, (own, "max\n")]), Some(900));
        assert_eq!(limit(&[groups, slice, (own, "800\n")]), Some(800));
    }

    #[test]
    fn limit_of_a_container_is_that_of_the_topmost_group() {
        let topmost = ("/sys/fs/cgroup/memory.max", "805306368\n");
        for groups in ["0::/\n", "0::/../..\n"] {
            let groups = ("/proc/self/cgroup", groups);
            assert_eq!(limit(&[groups, topmost]), Some(768 << 20));
        }
    }

    #[test]
    fn limit_of_version_1_is_that_of_the_memory_controller() {
        let groups = "5:cpu,cpuacct:/a\n4:memory:/a/b\n0::/\nnot a group\n";
        let groups = ("/proc/self/cgroup", groups);
        let unlimited = (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        let other = ("/sys/fs/cgroup/cpu/a/memory.limit_in_bytes", "1\n");
        assert_eq!(limit(&[groups, unlimited, other]), None);
        let own = ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "700\n");
        assert_eq!(limit(&[groups, unlimited, own]), Some(700));
        assert_eq!(limit(&[]), None);
    }
}
