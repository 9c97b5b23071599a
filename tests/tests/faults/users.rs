//! Users of RabbitMQ with the permissions that `docs/broker-users.md` gives each program.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mongodb::bson::{Document, doc};
use serde_json::{Value, json};
use wahook_tests::eventually::eventually;
use wahook_tests::folder::RunFolder;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Servers;
use wahook_tests::program::{Command, Program, ProgramName, Ran};
use wahook_tests::rabbitmq::RabbitMq;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::workspace;

use crate::IN_THE_END;

const PASSWORD: &str = "secret";
const DATABASE: &str = "users";
const CONSOLE_TOKEN: &str = "a-token-of-good-length";
/// Event whose deliveries to `first` fail until the receiver is repaired.
const FAILING: &str = "call";
/// Event whose first attempt at `first` fails.
const RETRIED: &str = "message_ack";

/// Permissions of one user: expressions for names.
#[derive(Debug, Clone)]
pub(crate) struct Permissions {
    pub(crate) configure: String,
    pub(crate) write: String,
    pub(crate) read: String,
}

/// Returns the permissions of a user from the commands in the document.
pub(crate) fn documented(user: &str) -> Permissions {
    let document = fs::read_to_string(workspace().join("docs/broker-users.md")).unwrap();
    let command = format!("rabbitmqctl set_permissions --vhost / {user} ");
    let mut lines = document.lines();
    let line = lines.find_map(|line| line.strip_prefix(&command)).unwrap();
    let mut expressions = line.split('\'').skip(1).step_by(2).map(str::to_owned);
    let mut next = || expressions.next().unwrap();
    Permissions {
        configure: next(),
        write: next(),
        read: next(),
    }
}

pub(crate) async fn add_user(rabbitmq: &RabbitMq, user: &str) {
    rabbitmq.ctl(&["add_user", user, PASSWORD]).await.unwrap();
}

/// Sets the permissions of a user in a virtual host.
pub(crate) async fn permit(rabbitmq: &RabbitMq, vhost: &str, user: &str, given: &Permissions) {
    let (configure, write, read) = (&given.configure, &given.write, &given.read);
    let arguments = ["set_permissions", "-p", vhost, user, configure, write, read];
    rabbitmq.ctl(&arguments).await.unwrap();
}

/// Returns the address of a virtual host for a user. `%2f` is the default one.
pub(crate) fn url_of(rabbitmq: &RabbitMq, user: &str, vhost: &str) -> String {
    format!(
        "amqp://{user}:{PASSWORD}@127.0.0.1:{}/{vhost}",
        rabbitmq.port()
    )
}

/// Producer and consumer, each with a user of its own.
struct Stage {
    servers: Servers,
    receivers: [Receiver; 2],
    is_repaired: Arc<AtomicBool>,
    folder: RunFolder,
    producer: Program,
    consumer: Program,
}

impl Stage {
    async fn start() -> Self {
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
        producer.wait_ready(IN_THE_END).await;
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
    async fn post(&self, event: &str) -> String {
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

    async fn ends_as(&self, id: &str, endpoint: &str, status: &str) {
        let log = self.servers.mongod.client().await.database(DATABASE);
        let log = log.collection::<Document>("webhooklogs");
        let record = doc! { "_id": format!("{id}/{endpoint}"), "status": status };
        let what = format!(
            "{id} at {endpoint}: {status}\n{}",
            self.consumer.stderr_so_far()
        );
        eventually(IN_THE_END, &what, || async {
            log.find_one(record.clone()).await.unwrap()
        })
        .await;
    }

    /// Runs a command of operators.
    async fn run(&self, arguments: &[&str]) -> Ran {
        let amqp_url = url_of(&self.servers.rabbitmq, "wahook-operator", "%2f");
        run_consumer(&self.servers, &self.folder, &amqp_url, arguments).await
    }

    async fn console(&self) -> Program {
        let amqp_url = url_of(&self.servers.rabbitmq, "wahook-console", "%2f");
        let mongodb_uri = self.servers.mongod.uri();
        let console = Program::console(&[
            ("AMQP_URL", &amqp_url),
            ("MONGODB_URI", &mongodb_uri),
            ("MONGODB_DATABASE", DATABASE),
            ("CONSOLE_TOKEN", CONSOLE_TOKEN),
        ])
        .await;
        console.wait_ready(IN_THE_END).await;
        console
    }
}

/// Writes an endpoints file; the endpoint `ordered` has two lanes.
fn write_endpoints(folder: &RunFolder, endpoints: &[(&str, &Receiver)]) {
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

async fn start_consumer(servers: &Servers, folder: &RunFolder) -> Program {
    let amqp_url = url_of(&servers.rabbitmq, "wahook-consumer", "%2f");
    let (mongodb_uri, file) = (servers.mongod.uri(), folder.join("endpoints.toml"));
    let consumer = Program::consumer(&[
        ("AMQP_URL", &amqp_url),
        ("MONGODB_URI", &mongodb_uri),
        ("MONGODB_DATABASE", DATABASE),
        ("WEBHOOK_ENDPOINTS", file.to_str().unwrap()),
    ])
    .await;
    consumer.wait_ready(IN_THE_END).await;
    consumer
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

async fn ask(console: &Program, path: &str, body: Option<&Value>) -> Value {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_program_works_with_the_documented_permissions_of_its_user() {
    let mut stage = Stage::start().await;
    // All documented events, a retry and a dead letter.
    let mut dead = String::new();
    for sample in wahook_domain::samples() {
        let id = stage.post(sample).await;
        stage.ends_as(&id, "ordered", "success").await;
        let name: Value = serde_json::from_str(sample).unwrap();
        if name["event"] == FAILING {
            stage.ends_as(&id, "first", "failed").await;
            dead = id;
        } else {
            stage.ends_as(&id, "first", "success").await;
        }
    }
    let unknown = stage.post(r#"{"event":"order.made","data":{}}"#).await;
    stage.ends_as(&unknown, "first", "success").await;

    // Commands of operators.
    let listed = stage.run(&["dead", "list", "--json"]).await;
    assert!(listed.printed().contains(&dead), "{listed:?}");
    stage.run(&["reconcile"]).await.printed();
    let endpoints = stage.run(&["endpoints", "list"]).await;
    assert!(endpoints.printed().contains("ordered"), "{endpoints:?}");
    let erase = ["erase", "--number", "15550001111"];
    stage.run(&erase).await.printed();
    stage.is_repaired.store(true, Ordering::Relaxed);
    stage.run(&["dead", "redrive", "--all"]).await.printed();
    stage.ends_as(&dead, "first", "success").await;

    use_console(&stage).await;
    restart_broker(&stage).await;
    move_removed_endpoint(&mut stage).await;

    for program in [&stage.producer, &stage.consumer] {
        let log = program.stderr_so_far();
        assert!(!log.contains("ACCESS_REFUSED"), "{log}");
    }
}

async fn use_console(stage: &Stage) {
    stage.is_repaired.store(false, Ordering::Relaxed);
    let dead = stage
        .post(r#"{"event":"call","data":{"id":"again"}}"#)
        .await;
    stage.ends_as(&dead, "first", "failed").await;
    stage.is_repaired.store(true, Ordering::Relaxed);
    let console = stage.console().await;
    let letters = ask(&console, "dead-letters", None).await;
    assert_eq!(
        letters["deadLetters"][0]["eventId"],
        dead.as_str(),
        "{letters}"
    );
    let endpoints = ask(&console, "endpoints", None).await;
    assert_eq!(endpoints["endpoints"][0]["queued"], 0, "{endpoints}");
    let selected = json!({ "ids": [format!("{dead}/first")] });
    let job = ask(&console, "dead-letters/redrive", Some(&selected)).await;
    assert_eq!(job["count"], 1, "{job}");
    stage.ends_as(&dead, "first", "success").await;
    for event in ["ready", "order.made"] {
        let sent = ask(&console, "test-event", Some(&json!({ "event": event }))).await;
        let id = sent["eventId"].as_str().expect(event);
        stage.ends_as(id, "first", "success").await;
    }
    let person = json!({ "number": "15550001111" });
    let erased = ask(&console, "erasures", Some(&person)).await;
    assert_eq!(erased["deadLetters"], 0, "{erased}");
    let log = console.stderr_so_far();
    assert!(!log.contains("ACCESS_REFUSED"), "{log}");
}

async fn restart_broker(stage: &Stage) {
    stage.servers.rabbitmq.stop().await;
    stage.servers.rabbitmq.restart().await;
    stage.producer.wait_ready(IN_THE_END).await;
    stage.consumer.wait_ready(IN_THE_END).await;
    for endpoint in ["first", "ordered"] {
        let id = stage.post(r#"{"event":"ready","data":{}}"#).await;
        stage.ends_as(&id, endpoint, "success").await;
    }
}

/// Removes the endpoint `ordered`, and moves what its queues still get to `first`.
async fn move_removed_endpoint(stage: &mut Stage) {
    stage.consumer.terminate();
    assert!(stage.consumer.wait_exit(IN_THE_END).await.success());
    let [first, _] = &stage.receivers;
    write_endpoints(&stage.folder, &[("first", first)]);
    stage.consumer = start_consumer(&stage.servers, &stage.folder).await;
    let id = stage.post(r#"{"event":"ready","data":{}}"#).await;
    stage.ends_as(&id, "first", "success").await;
    let moved = stage.run(&["endpoints", "move", "ordered", "first"]).await;
    moved.printed();
    let listed = stage.run(&["endpoints", "list", "--json"]).await;
    assert!(!listed.printed().contains("\"queued\":1"), "{listed:?}");
}
