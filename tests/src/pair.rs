//! Producer, consumers, receiver and log, connected on real servers.

use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context, ensure};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use reqwest::StatusCode;
use serde_json::Value;

use crate::eventually::{AT_LAST, eventually};
use crate::http_client::http_client;
use crate::mongod::Mongod;
use crate::or_fail;
use crate::program::Program;
use crate::rabbitmq::RabbitMq;
use crate::receiver::Receiver;

/// Webhook secret of every test.
pub const SECRET: &str = "a secret that only the tests know";

/// Servers of a producer and its consumers.
#[derive(Debug)]
pub struct Servers {
    pub rabbitmq: RabbitMq,
    pub mongod: Mongod,
}

impl Servers {
    pub async fn start() -> Self {
        let (rabbitmq, mongod) = tokio::join!(RabbitMq::start(), Mongod::start());
        Self { rabbitmq, mongod }
    }

    /// Returns the versions for a report: `RabbitMQ 3.10.8, MongoDB 6.0.5`.
    pub async fn versions(&self) -> anyhow::Result<String> {
        versions(&self.rabbitmq, &self.mongod).await
    }

    /// Starts a producer and a consumer on the default virtual host and the database
    /// `wahook-test`.
    pub async fn pair(&self, receiver: Receiver, settings: &[(&str, &str)]) -> Pair {
        let place = Place {
            amqp_url: self.rabbitmq.amqp_url(),
            mongodb_uri: self.mongod.uri(),
            database: "wahook-test".to_owned(),
        };
        Pair::start(place, receiver, settings).await
    }

    /// Starts a consumer with this address and endpoints file, and waits until it is ready.
    pub async fn consumer(&self, amqp_url: &str, database: &str, endpoints: &Path) -> Program {
        let (mongodb_uri, file) = (self.mongod.uri(), endpoints.display().to_string());
        let consumer = Program::consumer(&[
            ("AMQP_URL", amqp_url),
            ("MONGODB_URI", &mongodb_uri),
            ("MONGODB_DATABASE", database),
            ("WEBHOOK_ENDPOINTS", &file),
        ])
        .await;
        consumer.wait_ready(AT_LAST).await;
        consumer
    }
}

/// Returns the versions of servers for a report.
pub async fn versions(rabbitmq: &RabbitMq, mongod: &Mongod) -> anyhow::Result<String> {
    let rabbitmq = rabbitmq.ctl(&["version"]).await?;
    let admin = mongod.client().await.database("admin");
    let mongod = admin.run_command(doc! { "buildInfo": 1 }).await?;
    let mongod = mongod.get_str("version")?;
    Ok(format!("RabbitMQ {}, MongoDB {mongod}", rabbitmq.trim()))
}

/// Addresses of the queues and the log.
#[derive(Debug, Clone)]
pub struct Place {
    pub amqp_url: String,
    pub mongodb_uri: String,
    pub database: String,
}

/// Producer, one or more consumers, and their receiver.
#[derive(Debug)]
pub struct Pair {
    pub receiver: Receiver,
    pub producer: Program,
    pub consumers: Mutex<Vec<Program>>,
    place: Place,
    settings: Vec<(String, String)>,
    http: reqwest::Client,
    log: Collection<Document>,
}

/// Answer of the producer.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub body: String,
}

impl Answered {
    /// Returns the body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        or_fail(
            &self.body,
            serde_json::from_str(&self.body).map_err(Into::into),
        )
    }

    /// Returns the id of an accepted event; fails the test if it was refused.
    #[track_caller]
    pub fn accepted_id(&self) -> String {
        let accepted = || {
            ensure!(
                self.status == StatusCode::ACCEPTED,
                "the answer is {}, not 202",
                self.status
            );
            let id = self
                .json()
                .get("id")
                .and_then(Value::as_str)
                .map(str::to_owned);
            id.context("the answer has no id")
        };
        or_fail(&self.body, accepted())
    }
}

impl Pair {
    /// Starts one consumer and one producer and waits until both are ready. Both get
    /// `settings`, which override the addresses and the secret.
    pub async fn start(place: Place, receiver: Receiver, settings: &[(&str, &str)]) -> Self {
        let settings: Vec<_> = settings.iter().map(owned).collect();
        let consumer = launch_consumer(&place, &receiver, &settings).await;
        consumer.wait_ready(AT_LAST).await;
        let producer = launch_producer(&place, &settings).await;
        producer.wait_ready(AT_LAST).await;
        let client = mongodb::Client::with_uri_str(&place.mongodb_uri).await;
        let client = or_fail("a client for the log", client.map_err(Into::into));
        let log = client.database(&place.database).collection("webhooklogs");
        let http = or_fail("an HTTP client", http_client());
        let consumers = Mutex::new(vec![consumer]);
        Self {
            receiver,
            producer,
            consumers,
            place,
            settings,
            http,
            log,
        }
    }

    /// Starts another consumer and waits until it is ready.
    pub async fn add_consumer(&self) {
        self.add_consumer_with(&[]).await;
    }

    /// Starts another consumer with additional settings.
    pub async fn add_consumer_with(&self, settings: &[(&str, &str)]) {
        let usual = self.settings.iter().cloned();
        let settings: Vec<_> = usual.chain(settings.iter().map(owned)).collect();
        let consumer = launch_consumer(&self.place, &self.receiver, &settings).await;
        consumer.wait_ready(AT_LAST).await;
        self.consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(consumer);
    }

    /// Removes and returns the last started consumer.
    pub fn take_consumer(&self) -> Program {
        let consumer = self
            .consumers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        or_fail("the consumers", consumer.context("no consumer is left"))
    }

    pub async fn post(&self, event: &Value) -> Answered {
        self.post_with(&[("content-type", "application/json")], event.to_string())
            .await
    }

    /// POSTs any body; as JSON, unless the headers have another media type.
    pub async fn post_with(&self, headers: &[(&str, &str)], body: impl Into<String>) -> Answered {
        or_fail(
            "POST /v1/events",
            self.try_post_with(headers, body.into()).await,
        )
    }

    pub async fn try_post_with(
        &self,
        headers: &[(&str, &str)],
        body: String,
    ) -> anyhow::Result<Answered> {
        let url = format!("{}/v1/events", self.producer.base_url());
        let mut request = self.http.post(url).body(body);
        if headers.iter().all(|(name, _)| *name != "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await?;
        Ok(Answered {
            status: answer.status(),
            headers: answer.headers().clone(),
            body: answer.text().await?,
        })
    }

    pub fn log(&self) -> &Collection<Document> {
        &self.log
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Returns the current record of an event.
    pub async fn record(&self, id: &str) -> Option<Document> {
        let found = self
            .log
            .find_one(doc! { "_id": format!("{id}/default") })
            .await;
        or_fail("the log", found.map_err(Into::into))
    }

    /// Waits until the record of an event matches `is_right`.
    pub async fn wait_record(
        &self,
        id: &str,
        deadline: Duration,
        is_right: impl Fn(&Document) -> bool,
    ) -> Document {
        let what = format!("the expected record of {id}");
        eventually(deadline, &what, || async {
            self.record(id).await.filter(&is_right)
        })
        .await
    }
}

fn owned((name, value): &(&str, &str)) -> (String, String) {
    ((*name).to_owned(), (*value).to_owned())
}

async fn launch_consumer(
    place: &Place,
    receiver: &Receiver,
    settings: &[(String, String)],
) -> Program {
    let url = receiver.url();
    let mut all = vec![
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
        ("WEBHOOK_URL", url.as_str()),
        ("WEBHOOK_SECRET", SECRET),
    ];
    all.extend(
        settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    Program::consumer(&all).await
}

async fn launch_producer(place: &Place, settings: &[(String, String)]) -> Program {
    let mut all = vec![("AMQP_URL", place.amqp_url.as_str())];
    all.extend(
        settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    Program::producer(&all).await
}
