//! Real Prometheus server with the configuration of this repository, queried as Grafana does.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use wahook_tests::folder::{RunFolder, tail};
use wahook_tests::guard::Guarded;
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;

use crate::major::Major;
use crate::scale;
use crate::series::{Firing, Series};

const READY_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Prometheus {
    major: Major,
    port: u16,
    http: reqwest::Client,
    process: Guarded,
    folder: RunFolder,
}

impl Prometheus {
    /// Starts the server with `deploy/prometheus`, scaled in time, with files instead of DNS.
    pub(crate) async fn start(major: Major, deploy: &Path) -> anyhow::Result<Self> {
        let folder = RunFolder::temporary("prometheus")?;
        fs::create_dir_all(folder.join("rules"))?;
        fs::create_dir_all(folder.join("targets"))?;
        let read = |path: &str| {
            fs::read_to_string(deploy.join(path))
                .with_context(|| format!("{path} of deploy/prometheus"))
        };
        fs::write(
            folder.join("prometheus.yml"),
            scale::config(&read("prometheus.yml")?),
        )?;
        for name in ["recording.yml", "alerts.yml"] {
            let path = format!("rules/{name}");
            fs::write(folder.join(&path), scale::rules(&read(&path)?))?;
        }
        let port = free_port()?;
        let output = fs::File::create(folder.join("output"))?;
        let program = major.folder().join("prometheus");
        let process = Guarded::spawn(program, |command| {
            command
                .arg(format!(
                    "--config.file={}",
                    folder.join("prometheus.yml").display()
                ))
                .arg(format!(
                    "--storage.tsdb.path={}",
                    folder.join("data").display()
                ))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--log.level=warn")
                .stderr(output);
        })
        .with_context(|| format!("deploy/local/install.sh {} installs it", major.part()))?;
        let prometheus = Self {
            major,
            port,
            http: http_client()?,
            process,
            folder,
        };
        prometheus.wait_ready().await?;
        prometheus.check_version().await?;
        Ok(prometheus)
    }

    async fn check_version(&self) -> anyhow::Result<()> {
        let build = self.get("status/buildinfo", &[]).await?;
        let version = build.get("version").and_then(Value::as_str);
        let version = version.unwrap_or_default();
        let wanted = if self.major == Major::Two { "2." } else { "3." };
        ensure!(
            version.starts_with(wanted),
            "{} has version {version}",
            self.name()
        );
        println!("Prometheus {version}");
        Ok(())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.major.name()
    }

    /// Returns whether the targets have the labels `cluster` and `namespace`.
    pub(crate) fn adds_labels(&self) -> bool {
        self.major == Major::Three
    }

    async fn wait_ready(&self) -> anyhow::Result<()> {
        let end = tokio::time::Instant::now() + READY_WITHIN;
        let url = format!("http://127.0.0.1:{}/-/ready", self.port);
        loop {
            let answer = self.http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            let alive = self.process.exit_status().is_none();
            ensure!(
                alive && tokio::time::Instant::now() < end,
                "Prometheus is not ready: {}",
                tail(&self.folder.join("output"), 5)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Sets the addresses of a job, in place of DNS.
    pub(crate) fn set_targets(&self, name: &str, addresses: &[String]) -> anyhow::Result<()> {
        let path = self.folder.join("targets").join(format!("{name}.json"));
        // Atomic, because Prometheus watches the file.
        let fresh = self.folder.join("targets").join(format!("{name}.new"));
        let mut group = json!({ "targets": addresses });
        if self.adds_labels()
            && let Some(group) = group.as_object_mut()
        {
            let labels = json!({"cluster": "proof", "namespace": "messages"});
            group.insert("labels".to_owned(), labels);
        }
        fs::write(&fresh, json!([group]).to_string())?;
        Ok(fs::rename(fresh, path)?)
    }

    pub(crate) async fn instant(&self, query: &str, at: f64) -> anyhow::Result<Vec<Series>> {
        self.query("query", &[("query", query), ("time", &at.to_string())])
            .await
    }

    pub(crate) async fn range(
        &self,
        query: &str,
        from: f64,
        to: f64,
        step: u32,
    ) -> anyhow::Result<Vec<Series>> {
        let (from, to, step) = (from.to_string(), to.to_string(), step.to_string());
        let parameters = [
            ("query", query),
            ("start", &from),
            ("end", &to),
            ("step", &step),
        ];
        self.query("query_range", &parameters).await
    }

    /// Returns the values of a label, as a dashboard variable queries them.
    pub(crate) async fn label_values(
        &self,
        metric: &str,
        label: &str,
    ) -> anyhow::Result<Vec<String>> {
        let answer = self
            .get(&format!("label/{label}/values"), &[("match[]", metric)])
            .await?;
        let values = answer.as_array().into_iter().flatten();
        Ok(values
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect())
    }

    pub(crate) async fn firing(&self) -> anyhow::Result<Vec<Firing>> {
        let answer = self.get("alerts", &[]).await?;
        let alerts = answer.get("alerts").and_then(Value::as_array);
        let text = |alert: &Value, path: &str| {
            alert
                .pointer(path)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let firing = alerts
            .into_iter()
            .flatten()
            .filter(|alert| text(alert, "/state") == "firing");
        Ok(firing
            .map(|alert| {
                let endpoint = text(alert, "/labels/endpoint");
                let about = if endpoint.is_empty() {
                    text(alert, "/labels/job")
                } else {
                    endpoint
                };
                Firing {
                    name: text(alert, "/labels/alertname"),
                    about,
                }
            })
            .collect())
    }

    pub(crate) async fn rules(&self) -> anyhow::Result<Vec<Value>> {
        let answer = self.get("rules", &[]).await?;
        let groups = answer.get("groups").and_then(Value::as_array);
        let rules = groups
            .into_iter()
            .flatten()
            .filter_map(|group| group.get("rules")?.as_array())
            .flatten();
        Ok(rules.cloned().collect())
    }

    /// Returns the errors of rules: a rule that can't be evaluated never fires.
    pub(crate) async fn rule_faults(&self) -> anyhow::Result<Vec<String>> {
        let rules = self.rules().await?;
        let fault = |rule: &Value| {
            let said = rule
                .get("lastError")
                .and_then(Value::as_str)
                .unwrap_or_default();
            (!said.is_empty())
                .then(|| format!("{}: {said}", rule.get("name").unwrap_or(&Value::Null)))
        };
        Ok(rules.iter().filter_map(fault).collect())
    }

    async fn query(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Vec<Series>> {
        let answer = self.get(path, parameters).await?;
        let result = answer.get("result").and_then(Value::as_array).cloned();
        Ok(result
            .unwrap_or_default()
            .iter()
            .map(Series::read)
            .collect())
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let url = format!("http://127.0.0.1:{}/api/v1/{path}", self.port);
        let url = reqwest::Url::parse_with_params(&url, parameters)?;
        let text = self.http.get(url).send().await?.text().await?;
        let mut answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
        let succeeded = answer.get("status").and_then(Value::as_str) == Some("success");
        ensure!(succeeded, "{parameters:?}: {text}");
        answer
            .get_mut("data")
            .map(Value::take)
            .context("an answer without data")
    }
}
