//! Runs Prometheus' own linter, `promtool check metrics`, on the metrics of a program.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use crate::major::Major;

/// Checks the metrics of the program at this URL with each version.
pub(crate) async fn check_metrics(base_url: String) -> anyhow::Result<()> {
    let http = wahook_tests::http_client::http_client()?;
    let metrics = http.get(format!("{base_url}/metrics")).send().await?;
    let metrics = metrics.error_for_status()?.text().await?;
    for major in Major::ALL {
        let metrics = metrics.clone();
        tokio::task::spawn_blocking(move || lint(major, &metrics)).await??;
    }
    Ok(())
}

fn lint(major: Major, metrics: &str) -> anyhow::Result<()> {
    let mut promtool = Command::new(major.folder().join("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("deploy/local/install.sh {} installs it", major.part()))?;
    let mut stdin = promtool.stdin.take().context("no stdin")?;
    stdin.write_all(metrics.as_bytes())?;
    drop(stdin);
    let output = promtool.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success() && said.trim().is_empty(),
        "promtool check metrics of {}: {said}{}",
        major.name(),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(())
}
