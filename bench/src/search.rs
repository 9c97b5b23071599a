//! Searches of the console in a log of 100,000 deliveries.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use wahook_tests::eventually::eventually;
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::ports::free_port;
use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::statistics::quantile;
use wahook_tests::stored_log::{DELIVERIES, OF_ONE_CHAT, StoredIn, Templates};

use crate::figures::Figures;
use crate::lab::Lab;

/// Requests of each search.
const REQUESTS: u32 = 200;
const UP_WITHIN: Duration = Duration::from_secs(30);

/// Query of the n-th request.
type Query = fn(u32) -> String;

/// Searches that are measured.
pub(crate) const SEARCHES: [(&str, Query); 4] = [
    ("newest first", |_| "limit=50".to_owned()),
    ("by status", |_| "limit=50&status=failed".to_owned()),
    ("by chat", |n| {
        let chat = n * 47 % (DELIVERIES / OF_ONE_CHAT);
        format!("chat=chat-{chat}@c.us")
    }),
    ("by message id", |n| {
        let message = n * 467 % DELIVERIES;
        format!("messageId=message-{message}")
    }),
];

/// Store of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    MongoDb,
    DataFile,
}

/// Running programs with a console.
struct Stage {
    _programs: Vec<Program>,
    events: String,
    deliveries: String,
    http: reqwest::Client,
}

/// Measures each search on a filled log.
pub(crate) async fn measure(lab: &Lab, store: Store) -> anyhow::Result<Figures> {
    let receiver = Receiver::answering(|post| match post.event() {
        Some("call") => Answer::status(500),
        _ => Answer::status(200),
    })
    .await;
    let folder = RunFolder::temporary("bench")?;
    let (stage, log) = match store {
        Store::MongoDb => {
            let log = StoredIn::MongoDb(lab.place());
            (Stage::on_mongodb(lab, &receiver.url()).await?, log)
        }
        Store::DataFile => {
            let data = folder.join("wahook.db");
            let stage = Stage::on_file(&receiver.url(), &data.display().to_string()).await?;
            (stage, StoredIn::DataFile(data))
        }
    };
    let templates = Templates {
        delivered: stage.ended("ready", "success").await?,
        failed: stage.ended("call", "failed").await?,
    };
    log.fill(&templates).await?;
    let mut searches = Vec::new();
    for (name, query) in SEARCHES {
        searches.push((name, stage.times(query).await?));
    }
    Ok(Figures {
        searches,
        ..Figures::default()
    })
}

impl Stage {
    async fn on_mongodb(lab: &Lab, url: &str) -> anyhow::Result<Self> {
        let (place, listen) = (lab.place(), address()?);
        let broker = [("AMQP_URL", place.amqp_url.as_str())];
        let log = [
            ("MONGODB_URI", place.mongodb_uri.as_str()),
            ("MONGODB_DATABASE", place.database.as_str()),
        ];
        let endpoint = [("WEBHOOK_URL", url), ("WEBHOOK_RETRY_ATTEMPTS", "0")];
        let console = [("CONSOLE_LISTEN", listen.as_str())];
        let consumer = Program::consumer(&[&broker, &log[..], &endpoint].concat()).await;
        consumer.wait_ready(UP_WITHIN).await;
        let producer = Program::producer(&broker).await;
        let console = Program::console(&[&broker, &log[..], &console].concat()).await;
        let events = producer.base_url();
        Self::of(vec![producer, consumer, console], events, &listen).await
    }

    async fn on_file(url: &str, data: &str) -> anyhow::Result<Self> {
        let (consumer, listen) = (address()?, address()?);
        let program = Program::standalone(&[
            ("WAHOOK_DATA", data),
            ("WEBHOOK_URL", url),
            ("WEBHOOK_RETRY_ATTEMPTS", "0"),
            ("CONSUMER_LISTEN", &consumer),
            ("CONSOLE_LISTEN", &listen),
        ])
        .await;
        let events = program.base_url();
        Self::of(vec![program], events, &listen).await
    }

    async fn of(programs: Vec<Program>, events: String, listen: &str) -> anyhow::Result<Self> {
        for program in &programs {
            program.wait_ready(UP_WITHIN).await;
        }
        Ok(Self {
            _programs: programs,
            events: format!("{events}/v1/events"),
            deliveries: format!("http://{listen}/api/v1/deliveries"),
            http: http_client()?,
        })
    }

    /// Sends an event, waits for the end of its delivery, and returns the key of its record.
    async fn ended(&self, event: &str, status: &str) -> anyhow::Result<String> {
        let request = self.http.post(&self.events);
        let request = request.header("content-type", "application/json");
        let body = format!(r#"{{"event":"{event}","data":{{}}}}"#);
        let answer = request.body(body).send().await?.text().await?;
        let id = answer
            .split_once(r#""id":""#)
            .and_then(|(_, rest)| rest.split_once('"'));
        let (id, _) = id.with_context(|| answer.clone())?;
        let query = format!("eventId={id}&status={status}");
        eventually(UP_WITHIN, "the delivery", || async {
            let found = self.get(&query).await.ok()?;
            found.contains(id).then_some(())
        })
        .await;
        Ok(format!("{id}/default"))
    }

    /// Returns p50 and p99 of the time of a request, with its answer.
    async fn times(&self, query: fn(u32) -> String) -> anyhow::Result<[Duration; 2]> {
        let mut times = Vec::new();
        for n in 0..REQUESTS {
            let query = query(n);
            let start = Instant::now();
            let found = self.get(&query).await?;
            times.push(start.elapsed());
            ensure!(found.contains("filled-"), "nothing was found for {query}");
        }
        times.sort_unstable();
        Ok([500, 990].map(|permille| quantile(&times, permille).unwrap_or_default()))
    }

    async fn get(&self, query: &str) -> anyhow::Result<String> {
        let answer = self
            .http
            .get(format!("{}?{query}", self.deliveries))
            .send()
            .await?;
        Ok(answer.error_for_status()?.text().await?)
    }
}

fn address() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
