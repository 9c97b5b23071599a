//! Receivers in other languages, with third-party verification libraries.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::guard::Guarded;
use crate::{or_fail, output, workspace};

const READY_WITHIN: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Node,
    Python,
}

/// Running receiver that prints a verdict on each delivery.
#[derive(Debug)]
pub struct ForeignReceiver {
    url: String,
    lines: mpsc::UnboundedReceiver<String>,
    _process: Guarded,
}

impl Language {
    /// Starts a program in the folder of this language.
    pub fn spawn(self, arguments: &[&str], settings: &[(&str, &str)]) -> anyhow::Result<Guarded> {
        let (program, folder, libraries) = match self {
            Self::Node => ("node", "tests/node", "tests/node/node_modules"),
            Self::Python => ("python3", "tests/python", ".local/verifiers"),
        };
        let libraries = workspace().join(libraries);
        anyhow::ensure!(
            libraries.is_dir(),
            "{} is missing: run `make install`",
            libraries.display()
        );
        let process = Guarded::spawn(program, |command| {
            command
                .args(arguments)
                .env("PYTHONPATH", &libraries)
                .envs(settings.iter().copied())
                .current_dir(workspace().join(folder))
                .stdout(Stdio::piped());
        })?;
        Ok(process)
    }
}

impl ForeignReceiver {
    /// Starts a receiver and waits until it listens; fails the test if it does not.
    pub async fn start(language: Language, arguments: &[&str], secret: &str) -> Self {
        let started = Self::try_start(language, arguments, secret).await;
        or_fail(format_args!("{arguments:?}"), started)
    }

    async fn try_start(
        language: Language,
        arguments: &[&str],
        secret: &str,
    ) -> anyhow::Result<Self> {
        let mut process = language.spawn(arguments, &[("WEBHOOK_SECRET", secret)])?;
        let stdout = process.take_stdout().context("no stdout")?;
        let (sender, lines) = mpsc::unbounded_channel();
        let mut url = output::follow(stdout, move |line| {
            // Fails after the end of the test.
            let _ended = sender.send(line.to_owned());
        });
        let listening = url.wait_for(Option::is_some);
        let base = timeout(READY_WITHIN, listening).await??.clone();
        let mut receiver = Self {
            url: format!("{}/webhook", base.context("no URL")?),
            lines,
            _process: process,
        };
        // Skip the line with the URL.
        receiver.line(READY_WITHIN).await?;
        Ok(receiver)
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the verdict on the next delivery, as JSON.
    pub async fn next(&mut self, deadline: Duration) -> Value {
        let verdict = async {
            let line = self.line(deadline).await?;
            serde_json::from_str(&line).with_context(|| line)
        };
        or_fail("the receiver's verdict", verdict.await)
    }

    async fn line(&mut self, deadline: Duration) -> anyhow::Result<String> {
        let line = timeout(deadline, self.lines.recv()).await;
        line.with_context(|| format!("no output within {deadline:?}"))?
            .context("the receiver has ended")
    }
}
