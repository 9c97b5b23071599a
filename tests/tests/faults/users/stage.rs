//! Producer, consumer, console and commands, each with its own user of RabbitMQ.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::bson::{Document, doc};
use serde_json::Value;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Servers;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

use super::permissions::{add_user, documented, permit, url_of};

const DATABASE: &str = "users";
const CONSOLE_TOKEN: &str = "a-token-of-good-length";
/// Event whose deliveries to `first` fail until the receiver is repaired.
pub(super) const FAILING: &str = "call";
/// Event whose first attempt at `first` fails.
const RETRIED: &str = "message_ack";

/// Producer and consumer, each with a user of its own.
pub(super) struct Stage {
    pub(super) servers: Servers,
    pub(super) receivers: [Receiver; 2],
    pub(super) is_repaired: Arc<AtomicBool>,
    pub(super) folder: RunFolder,
    pub(super) producer: Program,
    pub(super) consumer: Program,
}

impl Stage {
    pub(super) async fn start() -> Self {
        let servers = Servers::start().await;
        for user in ["producer", "consumer", "console", "operator"] {
            let user = format!("wahook-{user}");
            add_user(&servers.rabbitmq, &user).await;
            permit(&servers.rabbitmq, "/", &user, &documented(&user)).await;
        }
        let is_repaired = Arc::new(AtomicBool::new(false));
        let repaired = Arc::clone(&is_repaired);
        let first = Receiver::answering(move |post| {
            let fails = match post.event() {
                Some(FAILING) => !repaired.load(Ordering::Relaxed),
                Some(RETRIED) => post.attempt() == Some(1),
                _ => false,
            };
            Answer::status(if fails { 500 } else { 200 })
        });
        let receivers = [first.await, Receiver::start().await];
        let folder = RunFolder::temporary("users").unwrap();
        // Before the consumer, so that it declares the exchanges itself.
        let amqp_url = url_of(&servers.rabbitmq, "wahook-producer", "%2f");
        let producer = Program::producer(&[("AMQP_URL", &amqp_url)]).await;
        producer.wait_ready(AT_LAST).await;
        let [first, ordered] = &receivers;
        write_endpoints(&folder, &[("first", first), ("ordered", ordered)]);
        let consumer = start_consumer(&servers, &folder).await;
        Self {
            servers,
            receivers,
            is_repaired,
            folder,
            producer,
            consumer,
        }
    }

    /// Posts an event and returns its id.
    pub(super) async fn post(&self, event: &str) -> String {
        let request = http_client()
            .unwrap()
            .post(format!("{}/v1/events", self.producer.base_url()))
            .header("content-type", "application/json")
            .body(event.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202, "{event}");
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn ends_as(&self, id: &str, endpoint: &str, status: &str) {
        let log = self.servers.mongod.client().await.database(DATABASE);
        let log = log.collection::<Document>("webhooklogs");
        let record = doc! { "_id": format!("{id}/{endpoint}"), "status": status };
        let what = format!(
            "{id} at {endpoint}: {status}\n{}",
            self.consumer.stderr_so_far()
        );
        eventually(AT_LAST, &what, || async {
            log.find_one(record.clone()).await.unwrap()
        })
        .await;
    }

    /// Runs a command of operators.
    pub(super) async fn run(&self, arguments: &[&str]) -> Ran {
        let amqp_url = url_of(&self.servers.rabbitmq, "wahook-operator", "%2f");
        run_consumer(&self.servers, &self.folder, &amqp_url, arguments).await
    }

    pub(super) async fn console(&self) -> Program {
        let amqp_url = url_of(&self.servers.rabbitmq, "wahook-console", "%2f");
        let mongodb_uri = self.servers.mongod.uri();
        let console = Program::console(&[
            ("AMQP_URL", &amqp_url),
            ("MONGODB_URI", &mongodb_uri),
            ("MONGODB_DATABASE", DATABASE),
            ("CONSOLE_TOKEN", CONSOLE_TOKEN),
        ])
        .await;
        console.wait_ready(AT_LAST).await;
        console
    }
}

/// Writes an endpoints file; the endpoint `ordered` has two lanes.
pub(super) fn write_endpoints(folder: &RunFolder, endpoints: &[(&str, &Receiver)]) {
    let of = |(name, receiver): &(&str, &Receiver)| {
        let order = match *name {
            "ordered" => "order = \"chat\"\nlanes = 2",
            _ => "",
        };
        let url = receiver.url();
        format!(
            "[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nretry_attempts = 1\n\
             retry_delay = 500\ncircuit = false\n{order}\n"
        )
    };
    let text: String = endpoints.iter().map(of).collect();
    fs::write(folder.join("endpoints.toml"), text).unwrap();
}

pub(super) async fn start_consumer(servers: &Servers, folder: &RunFolder) -> Program {
    let amqp_url = url_of(&servers.rabbitmq, "wahook-consumer", "%2f");
    let file = folder.join("endpoints.toml");
    servers.consumer(&amqp_url, DATABASE, &file).await
}

async fn run_consumer(
    servers: &Servers,
    folder: &RunFolder,
    amqp_url: &str,
    arguments: &[&str],
) -> Ran {
    let (mongodb_uri, file) = (servers.mongod.uri(), folder.join("endpoints.toml"));
    let settings = [
        ("AMQP_URL", amqp_url),
        ("MONGODB_URI", &mongodb_uri),
        ("MONGODB_DATABASE", DATABASE),
        ("WEBHOOK_ENDPOINTS", file.to_str().unwrap()),
    ];
    let command = Command::start(ProgramName::Consumer, arguments, &settings);
    command.await.finish().await
}

pub(super) async fn ask(console: &Program, path: &str, body: Option<&Value>) -> Value {
    let url = format!("{}/api/v1/{path}", console.base_url());
    let http = http_client().unwrap();
    let request = match body {
        Some(body) => http
            .post(url)
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => http.get(url),
    };
    let answer = request.bearer_auth(CONSOLE_TOKEN).send().await.unwrap();
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default()
}
