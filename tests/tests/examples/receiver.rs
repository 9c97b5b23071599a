//! Example receivers as child processes.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use reqwest::StatusCode;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::{RunFolder, tail};
use wahook_tests::guard::Guarded;
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;
use wahook_tests::{or_fail, workspace};

use super::delivery::Delivery;

const PAUSE: Duration = Duration::from_millis(20);
const LOG: &str = "log";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Example {
    Express,
    Fastify,
    Flask,
    Php,
    Go,
}

pub(crate) struct ExampleReceiver {
    url: String,
    http: reqwest::Client,
    // Dropped before the folder that it writes to.
    _process: Guarded,
    _folder: RunFolder,
}

impl Example {
    /// Returns the subfolder of `examples/`, the program and its arguments.
    fn command(self, port: u16) -> (&'static str, PathBuf, Vec<String>) {
        let (folder, program, arguments) = match self {
            Self::Express => ("express", "node".into(), "receiver.js".to_owned()),
            Self::Fastify => ("fastify", "node".into(), "receiver.js".to_owned()),
            Self::Flask => ("flask", "python3".into(), "receiver.py".to_owned()),
            Self::Php => (
                "php",
                "php".into(),
                format!("-S 127.0.0.1:{port} receiver.php"),
            ),
            Self::Go => ("go", go_program(), String::new()),
        };
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        (folder, program, arguments)
    }

    /// Compiles a program that is not run from its source.
    fn build(self) -> anyhow::Result<()> {
        if self != Self::Go {
            return Ok(());
        }
        // Not `go run`: its child process would outlive it.
        let built = Command::new("go")
            .args(["build", "-o"])
            .arg(go_program())
            .arg("main.go")
            .current_dir(workspace().join("examples/go"))
            .env("GOCACHE", workspace().join(".local/go-cache"))
            .output()
            .context("go is missing, run `make install`")?;
        let errors = String::from_utf8_lossy(&built.stderr);
        ensure!(built.status.success(), "go build failed:\n{errors}");
        Ok(())
    }

    fn spawn(self, port: u16, secret: &str, folder: &RunFolder) -> anyhow::Result<Guarded> {
        let (example, program, arguments) = self.command(port);
        let path = folder.join(LOG);
        let output = File::options().create(true).append(true).open(path)?;
        let errors = output.try_clone()?;
        let process = Guarded::spawn(program, |command| {
            command
                .args(&arguments)
                .current_dir(workspace().join("examples").join(example))
                .env("WEBHOOK_SECRET", secret)
                .env("PORT", port.to_string())
                .env_remove("LISTEN_HOST")
                .env("NODE_PATH", workspace().join("tests/node/node_modules"))
                .env("PYTHONPATH", workspace().join(".local/flask"))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                // The PHP receiver stores the ids there.
                .env("TMPDIR", folder.path())
                .stdout(output)
                .stderr(errors);
        })?;
        Ok(process)
    }
}

impl ExampleReceiver {
    /// Starts a receiver and waits until it listens.
    pub(crate) async fn start(example: Example, secret: &str) -> Self {
        let started = Self::try_start(example, secret).await;
        or_fail(format_args!("{example:?}"), started)
    }

    async fn try_start(example: Example, secret: &str) -> anyhow::Result<Self> {
        example.build()?;
        let folder = RunFolder::temporary("example")?;
        // Another process may have taken the port in the meantime.
        for _ in 0..3 {
            let port = free_port()?;
            let process = example.spawn(port, secret, &folder)?;
            if listens(&process, port).await? {
                return Ok(Self {
                    url: format!("http://127.0.0.1:{port}/webhook"),
                    http: http_client()?,
                    _process: process,
                    _folder: folder,
                });
            }
        }
        let output = tail(&folder.join(LOG), 20);
        bail!("the receiver does not start, run `make install`:\n{output}")
    }

    /// Sends a delivery and returns the status and the body of the answer.
    pub(crate) async fn post(&self, delivery: &Delivery) -> (StatusCode, String) {
        let request = self.http.post(&self.url).headers(delivery.headers.clone());
        let answer = request.body(delivery.body.clone()).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Sends a valid delivery. Returns true if the receiver reports it as new.
    pub(crate) async fn accepts_as_new(&self, delivery: &Delivery) -> bool {
        let (status, body) = self.post(delivery).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap();
        !body["duplicate"].as_bool().unwrap()
    }
}

/// Path of the compiled Go example.
fn go_program() -> PathBuf {
    workspace().join(".local/go-receiver")
}

/// Waits until the port is open. Returns false if the program ended first.
async fn listens(process: &Guarded, port: u16) -> anyhow::Result<bool> {
    let end = Instant::now() + AT_LAST;
    while process.exit_status().is_none() {
        let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        if connected.is_ok() {
            return Ok(process.exit_status().is_none());
        }
        ensure!(Instant::now() < end, "no connection within {AT_LAST:?}");
        sleep(PAUSE).await;
    }
    Ok(false)
}
