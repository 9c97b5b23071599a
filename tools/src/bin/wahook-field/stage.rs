//! Program `wahook` on a new data file, with a receiver.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Metrics, Program};
use wahook_tests::receiver::{Answer, Post, Receiver};

const READY_WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    pub(crate) receiver: Receiver,
    program: Program,
    /// Address of the metrics.
    operations: String,
    http: reqwest::Client,
    _folder: RunFolder,
}

impl Stage {
    /// Starts both, with the default settings.
    pub(crate) async fn start(
        script: impl Fn(&Post) -> Answer + Send + Sync + 'static,
    ) -> anyhow::Result<Self> {
        let receiver = Receiver::answering(script).await;
        let url = receiver.url();
        Self::with(receiver, &url).await
    }

    /// Starts the program with another receiver at this URL.
    pub(crate) async fn start_at(url: &str) -> anyhow::Result<Self> {
        Self::with(Receiver::start().await, url).await
    }

    async fn with(receiver: Receiver, url: &str) -> anyhow::Result<Self> {
        let folder = RunFolder::temporary("field")?;
        let data = folder.join("wahook.db").display().to_string();
        let listen = format!("127.0.0.1:{}", free_port()?);
        let settings = [
            ("WAHOOK_DATA", data.as_str()),
            ("CONSUMER_LISTEN", listen.as_str()),
            ("WEBHOOK_URL", url),
        ];
        let program = Program::standalone(&settings).await;
        program.wait_ready(READY_WITHIN).await;
        Ok(Self {
            receiver,
            program,
            operations: format!("http://{listen}"),
            http: http_client()?,
            _folder: folder,
        })
    }

    /// Sends events of this name in one request. Returns their ids, and when it was answered.
    pub(crate) async fn send(
        &self,
        event: &str,
        count: usize,
    ) -> anyhow::Result<BTreeMap<String, Instant>> {
        let line = |number| json!({"event": event, "data": {"n": number}}).to_string();
        let lines: Vec<_> = (0..count).map(line).collect();
        let request = self
            .http
            .post(format!("{}/v1/events", self.program.base_url()))
            .header("content-type", "application/x-ndjson");
        let answer = request.body(lines.join("\n")).send().await?;
        let answer = answer.error_for_status()?.bytes().await?;
        let accepted = Instant::now();
        let results = serde_json::Deserializer::from_slice(&answer).into_iter::<Value>();
        let ids = results.flatten().filter_map(|result| {
            let id = result.get("id")?.as_str()?;
            Some(id.to_owned())
        });
        let ids: BTreeMap<_, _> = ids.map(|id| (id, accepted)).collect();
        ensure!(
            ids.len() == count,
            "{} of {count} events accepted",
            ids.len()
        );
        Ok(ids)
    }

    /// Waits until the receiver has what `is_enough` requires. Returns false after `limit`.
    pub(crate) async fn wait(&self, limit: Duration, is_enough: impl Fn(&Self) -> bool) -> bool {
        let waiting = async {
            while !is_enough(self) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(limit, waiting).await.is_ok()
    }

    /// Waits until this many events are delivered, for `limit` at most.
    pub(crate) async fn wait_delivered(
        &self,
        events: usize,
        limit: Duration,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + limit;
        let delivered = [("result", "delivered")];
        while Instant::now() < end {
            let metrics = self.metrics().await?;
            if metrics.sum_where("wahook_deliveries_total", &delivered) >= events as f64 {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// Returns the number of events that the first attempt delivered.
    pub(crate) async fn delivered_at_first(&self) -> anyhow::Result<f64> {
        let first = [("attempt", "1"), ("outcome", "delivered")];
        Ok(self
            .metrics()
            .await?
            .sum_where("wahook_attempts_total", &first))
    }

    /// Returns the number of all attempts.
    pub(crate) async fn attempts(&self) -> anyhow::Result<f64> {
        Ok(self.metrics().await?.sum("wahook_attempts_total"))
    }

    /// Returns the number of dead letters so far.
    pub(crate) async fn dead_letters(&self) -> anyhow::Result<f64> {
        let metrics = self.metrics().await?;
        let dead = [("result", "dead_lettered")];
        Ok(metrics.sum_where("wahook_deliveries_total", &dead))
    }

    /// Returns how often the endpoint was paused.
    pub(crate) async fn pauses(&self) -> anyhow::Result<f64> {
        Ok(self.metrics().await?.sum("wahook_circuit_opened_total"))
    }

    async fn metrics(&self) -> anyhow::Result<Metrics> {
        let answer = self.http.get(format!("{}/metrics", self.operations));
        let text = answer.send().await?.bytes().await?;
        Metrics::parse(str::from_utf8(&text)?)
    }
}
