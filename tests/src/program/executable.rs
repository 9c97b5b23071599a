//! Executables of the programs under test.

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
    Console,
    /// Standalone system and command line.
    Standalone,
}

impl ProgramName {
    pub const ALL: [Self; 5] = [
        Self::Producer,
        Self::Consumer,
        Self::Receiver,
        Self::Console,
        Self::Standalone,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Producer => "wahook-producer",
            Self::Consumer => "wahook-consumer",
            Self::Receiver => "wahook-receiver",
            Self::Console => "wahook-console",
            Self::Standalone => "wahook",
        }
    }

    /// Returns the setting of the listen address.
    pub const fn listen_variable(self) -> &'static str {
        match self {
            Self::Producer | Self::Standalone => "PRODUCER_LISTEN",
            Self::Consumer => "CONSUMER_LISTEN",
            Self::Receiver => "RECEIVER_ADDRESS",
            Self::Console => "CONSOLE_LISTEN",
        }
    }

    /// Builds all programs once per process, so that tests never run a stale one, and returns
    /// the path of this one. Uses the debug profile or `WAHOOK_TEST_PROFILE`. If
    /// `WAHOOK_TEST_PROGRAMS` names a folder, returns the program in it without a build.
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
                .with_context(|| format!("cargo did not build {self}")),
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
        .args(["--features", "wahook/mongodb"])
        .current_dir(crate::workspace())
        .stdin(Stdio::null());
    for name in ProgramName::ALL {
        command.args(["--package", name.as_str()]);
    }
    if let Ok(profile) = env::var("WAHOOK_TEST_PROFILE") {
        command.args(["--profile", &profile]);
    }
    // `cargo test` sets these for the test crate. Inherited by the build, they would recompile
    // some dependencies each time.
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

/// Returns name and path if a message of cargo is about an executable.
fn executable_of(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(path)))
}
