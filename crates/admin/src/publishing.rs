//! Publisher of a command, which waits for its connection.

use anyhow::bail;
use std::time::Duration;
use tokio::time::timeout;
use wahook_queue::{Broker, Publisher, PublisherTask, Topology};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Connects a publisher under this name in the broker's listings.
///
/// # Errors
/// If the broker can't be reached within 10 s.
pub(crate) async fn connect(
    broker: Broker,
    name: &str,
) -> anyhow::Result<(Publisher, PublisherTask)> {
    let (publisher, task) = Publisher::start(broker, name, Topology::default(), CONFIRM_LIMIT);
    let mut link = publisher.link();
    let up = timeout(CONNECT_LIMIT, link.wait_for(|link| link.up)).await;
    match up {
        Ok(Ok(_)) => {}
        _ => bail!("no connection to the broker for publishing"),
    }
    Ok((publisher, task))
}

/// Waits for confirms in flight, then closes the connection.
pub(crate) async fn close(task: PublisherTask) {
    task.close(CLOSE_LIMIT).await;
}
