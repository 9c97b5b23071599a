//! RabbitMQ installation that the tests use.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Variable that selects the installation: `system`, or `4.3` for the one of
/// `install.sh rabbitmq4`.
const SELECTION: &str = "WAHOOK_TEST_RABBITMQ";

/// Returns true if single nodes have the version of clusters, 4.3.
#[must_use]
pub fn is_of_clusters() -> bool {
    env::var(SELECTION).as_deref() == Ok("4.3")
}

/// Folders of RabbitMQ's own scripts and applications. The scripts that Debian puts on the
/// PATH require the system's user and folders, so they are not used.
#[derive(Debug)]
pub(super) struct Installation {
    scripts: PathBuf,
    pub(super) plugins: PathBuf,
    /// Folder of the Erlang programs; `None` if they are on the PATH.
    erlang: Option<PathBuf>,
}

impl Installation {
    /// Finds the selected installation; without a selection the one of the system.
    pub(super) fn find() -> anyhow::Result<Self> {
        match env::var(SELECTION).as_deref() {
            Ok("4.3") => Self::private(),
            Ok("system") | Err(_) => Self::system(),
            Ok(other) => bail!("{SELECTION} must be 'system' or '4.3', not '{other}'"),
        }
    }

    /// Finds 4.3. Nodes of 3.10 that were separated do not come together without a restart.
    pub(super) fn for_clusters() -> anyhow::Result<Self> {
        Self::private()
    }

    fn private() -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.local/rabbitmq4");
        let root = root
            .canonicalize()
            .context("RabbitMQ 4.3 is not installed; run deploy/local/install.sh rabbitmq4")?;
        let server = root.join("usr/lib/rabbitmq/bin/rabbitmq-server");
        let mut installation = Self::of_server(&server)
            .context(".local/rabbitmq4 is incomplete; remove it and run install.sh rabbitmq4")?;
        installation.erlang = Some(root.join("usr/lib/erlang/bin"));
        Ok(installation)
    }

    fn system() -> anyhow::Result<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        std::iter::once(PathBuf::from("/usr/lib/rabbitmq/bin"))
            .chain(env::split_paths(&path))
            .find_map(|folder| Self::of_server(&folder.join("rabbitmq-server")))
            .context("rabbitmq-server is not installed; run deploy/local/install.sh")
    }

    fn of_server(script: &Path) -> Option<Self> {
        let script = script.canonicalize().ok()?;
        let scripts = script.parent()?.to_owned();
        let plugins = scripts.join("../plugins");
        plugins.is_dir().then_some(Self {
            scripts,
            plugins,
            erlang: None,
        })
    }

    pub(super) fn script(&self, name: &str) -> PathBuf {
        self.scripts.join(name)
    }

    pub(super) fn epmd(&self) -> PathBuf {
        let name = PathBuf::from("epmd");
        self.erlang
            .as_ref()
            .map_or(name, |folder| folder.join("epmd"))
    }

    /// Returns the PATH for the scripts, which call Erlang by name.
    pub(super) fn search_path(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let Some(erlang) = &self.erlang else {
            return path;
        };
        let mut all = OsString::from(erlang);
        all.push(":");
        all.push(path);
        all
    }
}
