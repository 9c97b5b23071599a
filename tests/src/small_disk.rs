//! Disk for one server that a test can fill.
//!
//! The disk is a tmpfs in a separate mount namespace: it leaves nothing on the system and
//! ends with its holder process. Without root it needs user namespaces.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::unistd::Uid;

use crate::guard::Guarded;

const MOUNTED_WITHIN: Duration = Duration::from_secs(120);
/// Mounts the disk, creates the file `.mounted` on it, and keeps it mounted.
const HOLD: &str =
    r#"mount -t tmpfs -o size="$1"m wahook "$2" && : >"$2/.mounted" && exec sleep 86400"#;

/// Mounted disk; unmounted on drop.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Guarded,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk over `folder`, visible only to programs started with [`Self::enter`].
    pub async fn mount(folder: &Path, megabytes: u32) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)?;
        let holder = Guarded::spawn("unshare", |command| {
            if !Uid::effective().is_root() {
                command.arg("--map-root-user");
            }
            command
                .args(["--mount", "sh", "-c", HOLD, "hold"])
                .arg(megabytes.to_string())
                .arg(folder)
                .stdout(Stdio::null())
                .stderr(Stdio::inherit());
        })?;
        let disk = Self {
            holder,
            folder: folder.to_owned(),
        };
        let mounted = async {
            while !disk.seen_from_outside().join(".mounted").exists() {
                if let Some(status) = disk.holder.exit_status() {
                    bail!("the process that holds the mount ended with {status}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(MOUNTED_WITHIN, mounted)
            .await
            .with_context(|| format!("not mounted within {MOUNTED_WITHIN:?}"))?
            .with_context(|| {
                format!("cannot mount a disk of {megabytes} MB: neither root nor a user namespace?")
            })?;
        Ok(disk)
    }

    pub fn fill(&self) -> anyhow::Result<()> {
        let mut file = fs::File::create(self.ballast())?;
        loop {
            match std::io::copy(&mut std::io::repeat(0), &mut file) {
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(()),
                Err(error) => return Err(error).context("filling the disk"),
                Ok(_) => {}
            }
        }
    }

    /// Removes the file that fills the disk.
    pub fn make_room(&self) -> anyhow::Result<()> {
        fs::remove_file(self.ballast()).context("making room on the disk")
    }

    /// Command prefix that runs a program in the namespace of the disk.
    pub(crate) fn enter(&self) -> Vec<OsString> {
        let target = self.holder.pid().to_string();
        let mut enter = vec!["nsenter", "--target", &target, "--mount"];
        if !Uid::effective().is_root() {
            enter.extend(["--user", "--preserve-credentials"]);
        }
        enter.into_iter().map(OsString::from).collect()
    }

    fn ballast(&self) -> PathBuf {
        self.seen_from_outside().join("ballast")
    }

    fn seen_from_outside(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(self.folder.strip_prefix("/").unwrap_or(&self.folder))
    }
}
