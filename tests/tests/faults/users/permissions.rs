//! Permissions of RabbitMQ's users.

use std::fs;

use wahook_tests::rabbitmq::RabbitMq;
use wahook_tests::workspace;

const PASSWORD: &str = "secret";

/// Permissions of one user: expressions for names.
#[derive(Debug, Clone)]
pub(super) struct Permissions {
    pub(super) configure: String,
    pub(super) write: String,
    pub(super) read: String,
}

/// Returns the permissions of a user from the commands in the document.
pub(super) fn documented(user: &str) -> Permissions {
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

pub(super) async fn add_user(rabbitmq: &RabbitMq, user: &str) {
    rabbitmq.ctl(&["add_user", user, PASSWORD]).await.unwrap();
}

/// Sets the permissions of a user in a virtual host.
pub(super) async fn permit(rabbitmq: &RabbitMq, vhost: &str, user: &str, given: &Permissions) {
    let (configure, write, read) = (&given.configure, &given.write, &given.read);
    let arguments = ["set_permissions", "-p", vhost, user, configure, write, read];
    rabbitmq.ctl(&arguments).await.unwrap();
}

/// Returns the address of a virtual host for a user. `%2f` is the default one.
pub(super) fn url_of(rabbitmq: &RabbitMq, user: &str, vhost: &str) -> String {
    format!(
        "amqp://{user}:{PASSWORD}@127.0.0.1:{}/{vhost}",
        rabbitmq.port()
    )
}
