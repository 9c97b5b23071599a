//! Folders, programs, ports and settings of this run.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Number of ports to try, from the default port on.
const PORT_TRIES: u16 = 20;

#[derive(Debug)]
pub(crate) struct Places {
    folder: PathBuf,
    programs: PathBuf,
    /// Lock of the folder, held during the run.
    _lock: File,
}

impl Places {
    /// Opens and locks the folder of the run.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let folder = wahook_tests::workspace().join(".local/run");
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("already running ({} is in use)", folder.display())
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let programs = env::current_exe()?;
        let programs = programs
            .parent()
            .context("the path of this program has no folder")?;
        Ok(Self {
            folder,
            programs: programs.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of `name` in the folder of the run.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the path of a program in the folder of this one.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        if !path.is_file() {
            bail!("{} is missing; `make run` builds it", path.display());
        }
        Ok(path)
    }
}

/// Reads a setting from the environment. An empty value counts as unset.
pub(crate) fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a setting from `NAME` or from the file that `NAME_FILE` names.
pub(crate) fn secret(name: &str) -> anyhow::Result<Option<String>> {
    if let Some(value) = setting(name) {
        return Ok(Some(value));
    }
    let Some(path) = setting(&format!("{name}_FILE")) else {
        return Ok(None);
    };
    let content = fs::read_to_string(&path).with_context(|| format!("{name}_FILE={path}"))?;
    let value = content.trim_end_matches(['\r', '\n']);
    Ok((!value.is_empty()).then(|| value.to_owned()))
}

/// Returns 32 random bytes in hexadecimal.
pub(crate) fn random_secret() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns port `usual` on 127.0.0.1 or the next free one. Prints a line if it is another one.
pub(crate) fn address_for(what: &str, usual: u16) -> anyhow::Result<SocketAddr> {
    for port in usual..usual.saturating_add(PORT_TRIES) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            if port != usual {
                println!("  port {usual} is in use: {what} uses {port}");
            }
            return Ok(address);
        }
    }
    bail!("no free port for {what} in {PORT_TRIES} ports from {usual}")
}
