//! Tests of the harness.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use mongodb::bson::{Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wahook_tests::amqp_wire::AmqpWire;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::folder::RunFolder;
use wahook_tests::guard::Guarded;
use wahook_tests::http_client::http_client;
use wahook_tests::mongod::Mongod;
use wahook_tests::rabbitmq::RabbitMq;
use wahook_tests::receiver::{Answer, Receiver};

const BODY: &[u8] = b"kept";

async fn channel(rabbitmq: &RabbitMq) -> (Connection, Channel) {
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&rabbitmq.amqp_url(), properties).await;
    let connection = connection.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn ready_messages(rabbitmq: &RabbitMq, wanted: (u64, u64)) {
    eventually(AT_LAST, "the expected queue depth", || async {
        let wanted = BTreeMap::from([("durable".to_owned(), wanted)]);
        (rabbitmq.queue_depths().await == wanted).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_broker_keeps_its_persistent_message_after_a_restart() {
    let rabbitmq = RabbitMq::start().await;
    let (_broken, first) = channel(&rabbitmq).await;
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let queue = first.queue_declare("durable".into(), durable, FieldTable::default());
    queue.await.unwrap();
    let confirms = first.confirm_select(ConfirmSelectOptions::default());
    confirms.await.unwrap();
    let persistent = BasicProperties::default().with_delivery_mode(2);
    let options = BasicPublishOptions::default();
    let confirm = first.basic_publish("".into(), "durable".into(), options, BODY, persistent);
    assert!(confirm.await.unwrap().await.unwrap().is_ack());
    ready_messages(&rabbitmq, (1, 0)).await;
    let mut wire = AmqpWire::connect(&rabbitmq.amqp_url()).await.unwrap();
    assert_eq!(wire.depth("durable").await.unwrap(), 1);
    assert!(wire.depth("missing").await.is_err());
    let url = rabbitmq.amqp_url();

    rabbitmq.kill9().await;
    assert!(!rabbitmq.is_running());
    rabbitmq.restart().await;

    assert_eq!(rabbitmq.amqp_url(), url);
    let (connection, second) = channel(&rabbitmq).await;
    let get = second.basic_get("durable".into(), BasicGetOptions::default());
    let message = get.await.unwrap().unwrap();
    assert_eq!(message.delivery.data, BODY);
    ready_messages(&rabbitmq, (0, 1)).await;
    connection.close(200, "done".into()).await.unwrap();
    rabbitmq.stop().await;
}

#[tokio::test]
async fn a_frozen_broker_accepts_connections_but_is_silent_until_thawed() {
    let rabbitmq = RabbitMq::start().await;
    let greeting = async || {
        let mut stream = TcpStream::connect(("127.0.0.1", rabbitmq.port()))
            .await
            .unwrap();
        stream.write_all(b"AMQP\x00\x00\x09\x01").await.unwrap();
        stream.read_u8().await.unwrap()
    };
    timeout(AT_LAST, greeting()).await.unwrap();

    rabbitmq.freeze();
    let patience = Duration::from_secs(1);
    // A running thread can answer once more after the signal.
    let silence = async || timeout(patience, greeting()).await.err();
    eventually(AT_LAST, "silence", silence).await;

    rabbitmq.thaw();
    timeout(AT_LAST, greeting()).await.unwrap();
}

#[tokio::test]
async fn servers_started_concurrently_do_not_conflict() {
    let (one, two, three, four) = tokio::join!(
        RabbitMq::start(),
        RabbitMq::start(),
        Mongod::start(),
        Mongod::start()
    );
    assert_ne!(one.port(), two.port());
    assert_ne!(three.port(), four.port());
    one.ctl(&["add_vhost", "only-here"]).await.unwrap();
    let vhosts = two.ctl(&["list_vhosts"]).await.unwrap();
    assert!(!vhosts.contains("only-here"));
}

#[tokio::test]
async fn a_frozen_mongod_times_out_and_a_thawed_one_answers() {
    let mongod = Mongod::start().await;
    let admin = mongod.client().await.database("admin");
    let ping = || async { admin.run_command(doc! { "ping": 1 }).await };
    ping().await.unwrap();

    mongod.freeze();
    // A running thread can answer once more after the signal.
    let silence = async || timeout(Duration::from_millis(500), ping()).await.err();
    eventually(AT_LAST, "silence", silence).await;

    mongod.thaw();
    eventually(AT_LAST, "a ping", || async { ping().await.ok() }).await;
}

#[tokio::test]
async fn a_killed_mongod_is_primary_with_its_journaled_write_after_a_restart() {
    let mongod = Mongod::start().await;
    let notes = |client: mongodb::Client| {
        let journaled = mongodb::options::WriteConcern::builder()
            .w(mongodb::options::Acknowledgment::Majority)
            .journal(true)
            .build();
        let options = mongodb::options::CollectionOptions::builder()
            .write_concern(journaled)
            .build();
        client
            .database("trial")
            .collection_with_options::<Document>("notes", options)
    };
    let before = notes(mongod.client().await);
    before.insert_one(doc! { "_id": 1 }).await.unwrap();

    mongod.kill9().await;
    mongod.restart().await;

    let after = notes(mongod.client().await);
    assert!(after.find_one(doc! { "_id": 1 }).await.unwrap().is_some());
    after.insert_one(doc! { "_id": 2 }).await.unwrap();
}

#[tokio::test]
async fn a_mongod_that_steps_down_refuses_writes_until_it_is_primary_again() {
    let mongod = Mongod::start().await;
    let database = mongod.client().await.database("trial");
    let notes = database.collection::<Document>("notes");
    let insert = || async { notes.insert_one(doc! {}).await };
    insert().await.unwrap();

    let refused = eventually(AT_LAST, "a refused write", || async {
        insert().await.err()
    });
    let (stepped_down, _) = tokio::join!(mongod.try_step_down(15), refused);

    stepped_down.unwrap();
    insert().await.unwrap();
}

/// Parent process of the next test, which starts it with the variable and kills it. Does
/// nothing without the variable.
#[test]
fn parent_of_a_guarded_child() {
    if std::env::var_os("WAHOOK_GUARD_TRIAL").is_none() {
        return;
    }
    let child = Guarded::spawn("sleep", |command| {
        command.arg("600");
    })
    .unwrap();
    println!("child {}", child.pid());
    std::thread::park();
}

#[tokio::test]
async fn a_guarded_child_is_killed_with_its_parent() {
    let test_binary = std::env::current_exe().unwrap();
    let parent = Guarded::spawn(test_binary, |command| {
        command
            .args(["--exact", "parent_of_a_guarded_child", "--nocapture"])
            .env("WAHOOK_GUARD_TRIAL", "1")
            .stdout(Stdio::piped());
    });
    let mut parent = parent.unwrap();
    let output = BufReader::new(parent.take_stdout().unwrap());
    let child: u32 = output
        .lines()
        .find_map(|line| line.unwrap().rsplit_once("child ")?.1.parse().ok())
        .unwrap();
    eventually(AT_LAST, "the child", || async {
        command_name(child).filter(|name| name == "sleep")
    })
    .await;

    parent.kill9().await.unwrap();

    eventually(AT_LAST, "the end of the child", || async {
        command_name(child).is_none().then_some(())
    })
    .await;
}

/// Returns the name of a running process; `None` for a zombie.
fn command_name(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    (!rest.starts_with(" Z")).then(|| name.to_owned())
}

#[tokio::test]
async fn a_guarded_child_and_its_descendants_end_with_the_guard() {
    let child = Guarded::spawn("sh", |command| {
        command
            .args(["-c", "sleep 600 & echo $!; wait"])
            .stdout(Stdio::piped());
    });
    let mut child = child.unwrap();
    let mut output = BufReader::new(child.take_stdout().unwrap());
    let mut grandchild = String::new();
    output.read_line(&mut grandchild).unwrap();
    let pids = [child.pid(), grandchild.trim().parse().unwrap()];
    assert!(pids.iter().all(|pid| command_name(*pid).is_some()));

    drop(child);

    eventually(AT_LAST, "the end of both", || async {
        let gone = pids.iter().all(|pid| command_name(*pid).is_none());
        gone.then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_child_that_exits_is_reported_with_its_status() {
    let child = Guarded::spawn("sh", |command| {
        command.args(["-c", "exit 7"]);
    });
    let status = child.unwrap().wait_within(AT_LAST).await.unwrap();
    assert_eq!(status.code(), Some(7));
}

#[tokio::test]
async fn the_receiver_records_every_byte_and_answers_by_script() {
    let receiver = Receiver::answering(|post| match post.attempt() {
        Some(1) => Answer::status(503).header("retry-after", "2").body("busy"),
        Some(2) => Answer::close(),
        Some(3) => Answer::status(200).body("half").broken_off(),
        _ => Answer::status(204).after(Duration::from_millis(50)),
    })
    .await;
    let client = http_client().unwrap();
    let body: Vec<u8> = (0..=255).collect();
    let post = |attempt: &'static str| {
        let request = client.post(receiver.url()).body(body.clone());
        request
            .header("webhook-id", "evt_1")
            .header("x-webhook-attempt", attempt)
            .send()
    };

    let busy = post("1").await.unwrap();
    assert_eq!(busy.status(), 503);
    assert_eq!(busy.headers()["retry-after"], "2");
    assert_eq!(busy.text().await.unwrap(), "busy");
    assert!(post("2").await.is_err());
    let half = post("3").await.unwrap();
    assert_eq!(half.status(), 200);
    assert!(half.text().await.is_err());
    let start = Instant::now();
    assert_eq!(post("4").await.unwrap().status(), 204);
    assert!(start.elapsed() >= Duration::from_millis(50));

    let posts = receiver.wait_for(4, AT_LAST).await;
    assert!(posts.iter().all(|post| post.body == body));
    let attempts: Vec<_> = posts.iter().filter_map(|post| post.attempt()).collect();
    // The client may repeat an unanswered request on another connection.
    assert_eq!((attempts.first(), attempts.last()), (Some(&1), Some(&4)));
    assert_eq!(receiver.posts_of("evt_1").len(), posts.len());
    assert!(receiver.posts_of("evt_2").is_empty());
}

#[tokio::test]
async fn a_dropped_receiver_refuses_connections_until_restarted_on_its_address() {
    let receiver = Receiver::start().await;
    let (address, url) = (receiver.address(), receiver.url());
    let client = http_client().unwrap();
    assert_eq!(client.post(&url).send().await.unwrap().status(), 200);

    drop(receiver);
    eventually(AT_LAST, "a refused connection", || async {
        let refused = client.post(&url).send().await.err()?;
        refused.is_connect().then_some(())
    })
    .await;

    let receiver = Receiver::start_on(address).await;
    assert_eq!(client.post(&url).send().await.unwrap().status(), 200);
    assert_eq!(receiver.posts().len(), 1);
}

#[tokio::test]
#[should_panic(expected = "not within 100ms: 1 posts; 0 posts arrived")]
async fn a_failed_wait_names_its_condition() {
    let receiver = Receiver::start().await;
    receiver.wait_for(1, Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_dropped_server_removes_its_folder() {
    let folder = RunFolder::temporary("mongod").unwrap();
    let path = folder.path().to_owned();
    let mongod = Mongod::try_start(folder).await.unwrap();
    assert!(path.join("mongod.log").exists());
    drop(mongod);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_lasting_folder_is_reused_by_a_server_on_another_port() {
    let folder = RunFolder::temporary("lasting").unwrap();
    let lasting = || RunFolder::lasting(folder.join("mongod")).unwrap();
    let first = Mongod::try_start(lasting()).await.unwrap();
    let numbers = |mongod: &Mongod| {
        let uri = mongod.uri();
        async move {
            let client = mongodb::Client::with_uri_str(uri).await.unwrap();
            client.database("trial").collection("numbers")
        }
    };
    numbers(&first)
        .await
        .insert_one(doc! { "_id": 1 })
        .await
        .unwrap();
    first.stop().await;
    drop(first);

    let second = Mongod::try_start(lasting()).await.unwrap();

    let found: Option<Document> = numbers(&second).await.find_one(doc! {}).await.unwrap();
    assert_eq!(found, Some(doc! { "_id": 1 }));
    numbers(&second)
        .await
        .insert_one(doc! { "_id": 2 })
        .await
        .unwrap();
}
