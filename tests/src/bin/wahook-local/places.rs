//! Which folders, programs, ports and servers does this run use?

use std::env;
use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// How far to look for a free port when the usual one is taken.
const PORT_TRIES: u16 = 20;

#[derive(Debug)]
pub(crate) struct Places {
    folder: PathBuf,
    programs: PathBuf,
    /// Held as long as this run lives.
    _lock: File,
}

impl Places {
    /// Opens the run's folder for this process alone.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let folder = wahook_tests::workspace().join(".local/run");
        fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("it runs already ({} is in use)", folder.display())
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let programs = env::current_exe()?;
        let programs = programs.parent().context("no folder of programs")?;
        Ok(Self {
            folder,
            programs: programs.to_owned(),
            _lock: lock,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of `name` in the run's folder.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The program that was built together with this one.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        if !path.is_file() {
            bail!("there is no {}; `make run` builds it", path.display());
        }
        Ok(path)
    }
}

/// A setting from the environment; an empty value counts as unset.
pub(crate) fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// A setting that may also be in the file that `NAME_FILE` names.
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

/// 32 random bytes in hexadecimal.
pub(crate) fn random_secret() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// `usual` on 127.0.0.1, or the next port that is free; says so when it is another one.
pub(crate) fn address_for(what: &str, usual: u16) -> anyhow::Result<SocketAddr> {
    for port in usual..usual.saturating_add(PORT_TRIES) {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            if port != usual {
                println!("  port {usual} is taken: {what} uses {port}");
            }
            return Ok(address);
        }
    }
    bail!("no free port for {what} from {usual} on")
}
