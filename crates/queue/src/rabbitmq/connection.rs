//! Connections to the broker, with a deadline for each step.

use futures_util::StreamExt;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable},
};
use std::{pin::pin, time::Duration};
use tokio::time::{sleep, timeout};

use super::{
    deadline::{STEP_LIMIT, with_deadline},
    error::{ConnectError, is_locked, is_not_found},
    servers::{self, Found, Server},
    uri::BrokerUri,
    wire,
};
use crate::topology::{LANES, Topology};

/// Time limit for closing a connection; the broker cleans up by itself in any
/// case.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Pause before the next look at a queue whose messages are awaited.
const READY_PAUSE: Duration = Duration::from_millis(20);

/// Time limit for TCP and TLS while other servers can be tried.
const NEXT_SERVER_AFTER: Duration = Duration::from_secs(3);

/// Connection, and the server that it leads to.
pub(crate) struct Connected {
    pub(crate) connection: Connection,
    /// Host and address, for the log.
    pub(crate) server: String,
    /// True if the address has other servers, reachable or not.
    pub(super) has_others: bool,
}

/// Connects to one of the servers and declares the topology on a separate channel, and then its
/// routing by key.
pub(crate) async fn connect(
    uri: &BrokerUri,
    name: &str,
    topology: &Topology,
) -> Result<Connected, ConnectError> {
    let Found {
        servers,
        mut failures,
    } = servers::look_up(uri).await;
    let transport_limit = if servers.len() > 1 {
        NEXT_SERVER_AFTER
    } else {
        STEP_LIMIT
    };
    let has_others = servers.len() + failures.len() > 1;
    for server in uri.turns.order(name, servers, |server| server.address) {
        uri.turns.record(name, server.address);
        match connect_to(&server, transport_limit, name, topology).await {
            Ok(connection) => {
                return Ok(Connected {
                    connection,
                    server: server.to_string(),
                    has_others,
                });
            }
            // The other servers have the same queues.
            Err(error @ ConnectError::OtherTopology(_)) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, host = %server, "host of the broker not connected");
                failures.push((server.to_string(), error));
            }
        }
    }
    Err(ConnectError::of_servers(failures))
}

async fn connect_to(
    server: &Server,
    transport_limit: Duration,
    name: &str,
    topology: &Topology,
) -> Result<Connection, ConnectError> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let uri = server.uri.clone();
    let connect = wire::connect(uri, server.address, transport_limit, properties);
    let connection = with_deadline(connect).await??;
    declare(&connection, topology).await?;
    Ok(connection)
}

/// Declares a topology on a separate channel.
pub(crate) async fn declare(
    connection: &Connection,
    topology: &Topology,
) -> Result<(), ConnectError> {
    declare_on(connection, topology).await?;
    declare_keyed(connection, topology).await
}

/// Declares the routing by key if it is needed or used already: producers continue to
/// publish by key once they do.
async fn declare_keyed(connection: &Connection, topology: &Topology) -> Result<(), ConnectError> {
    let Some(keyed) = &topology.keyed else {
        return Ok(());
    };
    if keyed.is_needed || has_queues(connection, &[LANES]).await? {
        declare_on(connection, &keyed.topology).await?;
    }
    Ok(())
}

/// Returns true if all these queues exist.
pub(crate) async fn has_queues(
    connection: &Connection,
    queues: &[&str],
) -> Result<bool, ConnectError> {
    // The broker closes a channel that names a missing queue.
    let channel = channel(connection).await?;
    for queue in queues {
        match with_deadline(declare_passive(&channel, queue)).await? {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    with_deadline(channel.close(200, "seen".into())).await??;
    Ok(true)
}

async fn declare_on(connection: &Connection, topology: &Topology) -> Result<(), ConnectError> {
    let channel = channel(connection).await?;
    topology.declare(&channel).await?;
    Ok(with_deadline(channel.close(200, "declared".into())).await??)
}

/// Closes the connection. lapin panics if a connection outlives its runtime, so
/// every connection is closed before the program ends.
pub(crate) async fn close(connection: &Connection) {
    if let Ok(Err(error)) = timeout(CLOSE_LIMIT, connection.close(200, "bye".into())).await {
        tracing::debug!(%error, "the broker connection was already closed");
    }
}

/// Waits until the connection is lost.
pub(crate) async fn until_lost(connection: &Connection) {
    // Created before the state is read, so that no loss is missed.
    let mut events = pin!(connection.events_listener());
    // An error changes the state before its event.
    while connection.status().connected() && events.next().await.is_some() {}
}

/// Opens a channel.
pub(crate) async fn channel(connection: &Connection) -> Result<Channel, ConnectError> {
    Ok(with_deadline(connection.create_channel()).await??)
}

/// Reads a queue's numbers of messages and consumers.
pub(crate) async fn declare_passive(channel: &Channel, queue: &str) -> lapin::Result<lapin::Queue> {
    let passive = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(queue.into(), passive, FieldTable::default())
        .await
}

/// Counts the ready messages of a queue, on a new channel, which can wait for more.
pub(crate) async fn count_ready(
    connection: &Connection,
    queue: &str,
) -> Result<(Channel, u32), ConnectError> {
    let channel = channel(connection).await?;
    let declared = with_deadline(declare_passive(&channel, queue)).await??;
    Ok((channel, declared.message_count()))
}

/// Waits until the queue has as many ready messages. Another program may take or remove some, so
/// the wait ends after `limit`.
pub(crate) async fn until_ready(
    channel: &Channel,
    queue: &str,
    messages: u32,
    limit: Duration,
) -> lapin::Result<()> {
    let ready = async {
        while declare_passive(channel, queue).await?.message_count() < messages {
            sleep(READY_PAUSE).await;
        }
        Ok(())
    };
    timeout(limit, ready).await.unwrap_or(Ok(()))
}

/// Declares a queue that exists as long as the connection and that no other one can use.
/// Returns a channel that can delete it earlier; `None` if another connection has the queue.
pub(crate) async fn lock(
    connection: &Connection,
    queue: &str,
) -> Result<Option<Channel>, ConnectError> {
    let channel = channel(connection).await?;
    let exclusive = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    // A virtual host may have another default type, of which no queue can be exclusive.
    let mut arguments = FieldTable::default();
    arguments.insert(
        "x-queue-type".into(),
        AMQPValue::LongString("classic".into()),
    );
    let declared = channel.queue_declare(queue.into(), exclusive, arguments);
    match with_deadline(declared).await? {
        Ok(_) => Ok(Some(channel)),
        Err(error) if is_locked(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Runs a step on a channel, and closes the channel if the step takes too long.
/// An open channel would receive messages once the broker gets to the step, and
/// nothing would ever read them.
pub(super) async fn queue_step<T>(
    queue: &str,
    channel: &Channel,
    step: impl Future<Output = lapin::Result<T>>,
) -> Result<T, ConnectError> {
    if let Ok(done) = with_deadline(step).await {
        return Ok(done?);
    }
    let abandoned = channel.clone();
    tokio::spawn(async move { abandoned.close(200, "step timed out".into()).await });
    Err(ConnectError::NoSubscription {
        queue: queue.to_owned(),
    })
}
