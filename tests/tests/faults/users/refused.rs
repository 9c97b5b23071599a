//! Programs whose user lacks a permission: the error names queue or exchange, and what to do.

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::json;
use wahook_queue::{Broker, BrokerUri, ConsumerConnection, Topology};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::http_client::http_client;
use wahook_tests::mongod::Mongod;
use wahook_tests::program::{Command, Program, ProgramName};
use wahook_tests::rabbitmq::RabbitMq;
use wahook_tests::receiver::{Answer, Receiver};

use super::permissions::{Permissions, add_user, documented, permit, url_of};

const ADVICE: &str = "grant it with `rabbitmqctl set_permissions`, docs/broker-users.md";
const NOTHING: &str = "^$";

/// Servers with the users of producer and consumer.
struct Stage {
    rabbitmq: RabbitMq,
    mongod: Mongod,
    receiver: Receiver,
    /// RabbitMQ names the missing permission since 4.0.
    names_permission: bool,
}

impl Stage {
    async fn start() -> Self {
        let receiver = Receiver::answering(|_| Answer::status(500));
        let (rabbitmq, mongod, receiver) =
            tokio::join!(RabbitMq::start(), Mongod::start(), receiver);
        for user in ["wahook-producer", "wahook-consumer"] {
            add_user(&rabbitmq, user).await;
        }
        let version = rabbitmq.ctl(&["version"]).await.unwrap();
        Self {
            rabbitmq,
            mongod,
            receiver,
            names_permission: !version.starts_with('3'),
        }
    }

    async fn permit(&self, vhost: &str, user: &str, change: impl Fn(&mut Permissions)) {
        let mut given = documented(user);
        change(&mut given);
        permit(&self.rabbitmq, vhost, user, &given).await;
    }

    async fn producer(&self, vhost: &str) -> Program {
        let amqp_url = url_of(&self.rabbitmq, "wahook-producer", vhost);
        Program::producer(&[("AMQP_URL", &amqp_url)]).await
    }

    async fn consumer(&self, vhost: &str) -> Program {
        let amqp_url = url_of(&self.rabbitmq, "wahook-consumer", vhost);
        Program::consumer(&[
            ("AMQP_URL", &amqp_url),
            ("MONGODB_URI", &self.mongod.uri()),
            ("MONGODB_DATABASE", vhost),
            ("WEBHOOK_URL", &self.receiver.url()),
            ("WEBHOOK_RETRY_ATTEMPTS", "0"),
        ])
        .await
    }

    /// Waits for a line of the program's log with the broker's refusal and the advice.
    async fn explains(&self, program: &Program, permission: &str, name: &str) {
        let what = format!("{permission} for {name} in the log");
        let line = eventually(AT_LAST, &what, || async {
            let log = program.stderr_so_far();
            let mut lines = log.lines().map(str::to_owned);
            lines.find(|line| line.contains("ACCESS_REFUSED") && line.contains(name))
        })
        .await;
        assert!(line.contains(ADVICE), "{line}");
        let expected = format!("{permission} access to");
        assert_eq!(line.contains(&expected), self.names_permission, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_permission_is_named_with_what_to_do_until_it_is_granted() {
    let stage = Stage::start().await;
    stage.rabbitmq.ctl(&["add_vhost", "start"]).await.unwrap();

    // At start.
    let vhost = "start";
    let no_configure = |given: &mut Permissions| NOTHING.clone_into(&mut given.configure);
    stage.permit(vhost, "wahook-producer", no_configure).await;
    let producer = stage.producer(vhost).await;
    stage
        .explains(&producer, "configure", "'wahook.events'")
        .await;
    eventually(AT_LAST, "the reason in /readyz", || async {
        let ready = reqwest::get(format!("{}/readyz", producer.base_url())).await;
        let ready = ready.unwrap().text().await.unwrap();
        let parts = ["wahook.events", "docs/broker-users.md"];
        parts.iter().all(|part| ready.contains(part)).then_some(())
    })
    .await;
    stage.permit(vhost, "wahook-producer", |_| ()).await;
    producer.wait_ready(AT_LAST).await;

    let no_read = |given: &mut Permissions| NOTHING.clone_into(&mut given.read);
    stage.permit(vhost, "wahook-consumer", no_read).await;
    let consumer = stage.consumer(vhost).await;
    stage.explains(&consumer, "read", "'wahook.results'").await;
    let no_default = |given: &mut Permissions| "^wahook\\.".clone_into(&mut given.write);
    stage.permit(vhost, "wahook-consumer", no_default).await;
    stage.explains(&consumer, "write", "'amq.default'").await;
    stage.permit(vhost, "wahook-consumer", |_| ()).await;
    consumer.wait_ready(AT_LAST).await;

    // While it works: the dead letter of the event cannot be published.
    consumer.terminate();
    assert!(consumer.wait_exit(AT_LAST).await.success());
    stage.permit(vhost, "wahook-consumer", no_default).await;
    let consumer = stage.consumer(vhost).await;
    consumer.wait_ready(AT_LAST).await;
    post(&producer).await;
    stage.receiver.wait_for(1, AT_LAST).await;
    stage.explains(&consumer, "write", "'amq.default'").await;

    // While it works: events cannot be published.
    let no_events = |given: &mut Permissions| "^wahook\\.lanes$".clone_into(&mut given.write);
    stage.permit(vhost, "wahook-producer", no_events).await;
    let producer = stage.producer(vhost).await;
    producer.wait_ready(AT_LAST).await;
    assert_eq!(post(&producer).await, 503);
    stage.explains(&producer, "write", "'wahook.known'").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_command_login_or_virtual_host_is_explained() {
    let rabbitmq = RabbitMq::start().await;
    add_user(&rabbitmq, "wahook-operator").await;
    let list = async |amqp_url: &str| {
        let settings = [("AMQP_URL", amqp_url)];
        let command = Command::start(ProgramName::Consumer, &["dead", "list"], &settings);
        let ran = command.await.finish().await;
        assert!(!ran.status.success(), "{ran:?}");
        ran.stderr
    };
    let good = url_of(&rabbitmq, "wahook-operator", "%2f");
    let text = list(&good).await;
    assert!(
        text.contains("check the virtual host of AMQP_URL"),
        "{text}"
    );
    let text = list(&good.replace("operator", "stranger")).await;
    assert!(
        text.contains("check user and password of AMQP_URL"),
        "{text}"
    );
    let none = Permissions {
        configure: NOTHING.to_owned(),
        write: NOTHING.to_owned(),
        read: NOTHING.to_owned(),
    };
    permit(&rabbitmq, "/", "wahook-operator", &none).await;
    let guest: BrokerUri = rabbitmq.amqp_url().parse().unwrap();
    let guest = Broker::from(guest);
    let topology = Topology::deliveries([], &[]);
    let declared = ConsumerConnection::connect(&guest, "test", &topology).await;
    declared.unwrap().close().await;
    // RabbitMQ 3.10 lets everyone count a queue; a message must be read.
    publish_dead_letter(&rabbitmq).await;
    let text = list(&good).await;
    assert!(
        text.contains("'wahook.dead'") && text.contains(ADVICE),
        "{text}"
    );
}

async fn publish_dead_letter(rabbitmq: &RabbitMq) {
    let url = rabbitmq.amqp_url();
    let connection = Connection::connect(&url, ConnectionProperties::default());
    let connection = connection.await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    confirms.await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let sent = channel.basic_publish("".into(), "wahook.dead".into(), options, b"{}", properties);
    assert!(sent.await.unwrap().await.unwrap().is_ack());
    connection.close(200, "done".into()).await.unwrap();
}

/// Posts an event, and returns the status of the answer.
async fn post(producer: &Program) -> u16 {
    let request = http_client()
        .unwrap()
        .post(format!("{}/v1/events", producer.base_url()))
        .header("content-type", "application/json")
        .body(json!({ "event": "ready" }).to_string());
    request.send().await.unwrap().status().as_u16()
}
