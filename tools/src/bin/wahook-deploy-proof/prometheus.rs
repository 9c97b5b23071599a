//! Real Prometheus server with the configuration of this repository, queried as Grafana does.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use wahook_tests::folder::{RunFolder, tail};
use wahook_tests::guard::Guarded;
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;

use crate::scale;

const READY_WITHIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Prometheus {
    port: u16,
    http: reqwest::Client,
    process: Guarded,
    folder: RunFolder,
}

/// Series of an answer: its labels, and its points with times in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Value,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Firing alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Firing {
    pub(crate) name: String,
    /// Subject: an endpoint or a job; empty for the whole system.
    pub(crate) about: String,
}

impl Prometheus {
    /// Starts the server with `deploy/prometheus`, scaled in time, with files instead of DNS.
    pub(crate) async fn start(deploy: &Path) -> anyhow::Result<Self> {
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
        let process = Guarded::spawn("prometheus", |command| {
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
        .context("prometheus: deploy/local/install.sh prometheus installs it")?;
        let prometheus = Self {
            port,
            http: http_client()?,
            process,
            folder,
        };
        prometheus.wait_ready().await?;
        Ok(prometheus)
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
        fs::write(&fresh, json!([{ "targets": addresses }]).to_string())?;
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

    /// Returns the errors of rules: a rule that can't be evaluated never fires.
    pub(crate) async fn rule_faults(&self) -> anyhow::Result<Vec<String>> {
        let answer = self.get("rules", &[]).await?;
        let groups = answer.get("groups").and_then(Value::as_array);
        let rules = groups
            .into_iter()
            .flatten()
            .filter_map(|group| group.get("rules")?.as_array())
            .flatten();
        let fault = |rule: &Value| {
            let said = rule
                .get("lastError")
                .and_then(Value::as_str)
                .unwrap_or_default();
            (!said.is_empty())
                .then(|| format!("{}: {said}", rule.get("name").unwrap_or(&Value::Null)))
        };
        Ok(rules.filter_map(fault).collect())
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

impl Firing {
    pub(crate) fn of(name: &str, about: &str) -> Self {
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
        }
    }
}

impl Series {
    fn read(result: &Value) -> Self {
        let point = |pair: &Value| {
            let value = pair.get(1)?.as_str()?.parse().ok()?;
            Some((pair.get(0)?.as_f64()?, value))
        };
        let many = result.get("values").and_then(Value::as_array);
        let mut points: Vec<_> = many.into_iter().flatten().filter_map(point).collect();
        points.extend(result.get("value").and_then(point));
        Self {
            labels: result.get("metric").cloned().unwrap_or_default(),
            points,
        }
    }

    pub(crate) fn label(&self, name: &str) -> &str {
        self.labels
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Returns the finite values.
    pub(crate) fn values(&self) -> impl Iterator<Item = f64> {
        self.points
            .iter()
            .map(|(_, value)| *value)
            .filter(|value| value.is_finite())
    }
}

/// Seconds since 1970, as in Prometheus.
#[expect(
    clippy::disallowed_methods,
    reason = "times are compared with the clock of Prometheus"
)]
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
