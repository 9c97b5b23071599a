//! Which file is the program under test?

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::{env, fmt};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramName {
    Producer,
    Consumer,
    Receiver,
    /// Producer, consumer and a store in one, and the command line.
    Standalone,
}

impl ProgramName {
    pub const ALL: [Self; 4] = [
        Self::Producer,
        Self::Consumer,
        Self::Receiver,
        Self::Standalone,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "wahook-producer",
            Self::Consumer => "wahook-consumer",
            Self::Receiver => "wahook-receiver",
            Self::Standalone => "wahook",
        }
    }

    /// The crate that it is built from.
    const fn package(self) -> &'static str {
        match self {
            Self::Producer | Self::Consumer | Self::Receiver => self.as_str(),
            Self::Standalone => "wahook",
        }
    }

    /// Where it is told where to listen, if it ever does.
    pub const fn listen_variable(self) -> &'static str {
        match self {
            Self::Producer | Self::Standalone => "PRODUCER_LISTEN",
            Self::Consumer => "CONSUMER_LISTEN",
            Self::Receiver => "RECEIVER_ADDRESS",
        }
    }

    /// Builds all programs once per process, so that a test never runs a stale one, and
    /// returns where this one is. A debug build, or that of `WAHOOK_TEST_PROFILE`. Where
    /// `WAHOOK_TEST_PROGRAMS` names a folder, the program in there is taken as it is.
    pub fn executable(self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = env::var_os("WAHOOK_TEST_PROGRAMS") {
            return Ok(std::path::absolute(folder)?.join(self.as_str()));
        }
        static BUILT: OnceLock<Result<BTreeMap<String, PathBuf>, String>> = OnceLock::new();
        let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
        match built {
            Ok(executables) => executables
                .get(self.as_str())
                .cloned()
                .with_context(|| format!("cargo built no {self}")),
            Err(error) => Err(anyhow!("{error}")),
        }
    }
}

impl fmt::Display for ProgramName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn build() -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["build", "--bins", "--message-format=json"])
        .current_dir(crate::workspace())
        .stdin(Stdio::null());
    for name in ProgramName::ALL {
        command.args(["--package", name.package()]);
    }
    if let Ok(profile) = env::var("WAHOOK_TEST_PROFILE") {
        command.args(["--profile", &profile]);
    }
    // What `cargo test` says of the tests' own crate is none of the programs' business, and
    // would have some of what is below them compiled again, each time.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    let output = command.output().context("cannot run cargo")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("cargo build of the programs failed:\n{errors}");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    Ok(messages.lines().filter_map(executable_of).collect())
}

/// The name and path in one of cargo's messages, where it is about an executable.
fn executable_of(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(path)))
}
