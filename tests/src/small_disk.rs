//! A disk that a test can fill, for one server alone.
//!
//! It is a tmpfs in a mount namespace of its own, so that it needs no place on the system
//! and is gone with its holder. Without root a user namespace allows that, where the system
//! does.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use nix::unistd::Uid;

use crate::guard::Guarded;

const MOUNTED_WITHIN: Duration = Duration::from_secs(10);
/// Mounts, says so by a file on the new disk, and stays.
const HOLD: &str =
    r#"mount -t tmpfs -o size="$1"m wahook "$2" && : >"$2/.mounted" && exec sleep 86400"#;

/// A mounted disk; it goes when this is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Guarded,
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of this size over `folder`, as its inhabitants see it.
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
                    bail!("it ended with {status}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Ok(())
        };
        tokio::time::timeout(MOUNTED_WITHIN, mounted)
            .await
            .context("it takes too long")?
            .with_context(|| {
                format!("cannot mount a disk of {megabytes} MB: neither root nor a user namespace?")
            })?;
        Ok(disk)
    }

    /// Fills it to the last byte.
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

    /// Takes back what filled it.
    pub fn make_room(&self) -> anyhow::Result<()> {
        fs::remove_file(self.ballast()).context("making room on the disk")
    }

    /// The command line before the program that is to see the disk.
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
