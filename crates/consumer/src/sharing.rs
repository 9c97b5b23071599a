//! Number of consumers that share the rate limit of an endpoint.

use std::{convert::Infallible, time::Duration};
use tokio::time::sleep;
use wahook_queue::{ConsumerConnection, topology};

use crate::{deliverer::Deliverer, session_error::SessionError};

/// Interval between queries of the number of consumers.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Tracks the number of consumers that share the endpoint's rate limit.
///
/// The broker's count of the queue's consumers is exact at each moment, needs no
/// stored state, and is right again a second after a consumer starts or is killed.
pub(crate) async fn track_consumers(
    endpoint: &Deliverer,
    connection: &ConsumerConnection,
) -> Result<Infallible, SessionError> {
    let queue = topology::work_queue(&endpoint.name);
    loop {
        if endpoint.admission.is_shared() {
            let observer = connection.observe(&queue).await?;
            while endpoint.admission.is_shared() {
                let consumers = observer.consumers().await?;
                // 0, although this consumer is subscribed: the queue's leader did not answer in time.
                if consumers > 0 {
                    endpoint.admission.share(consumers);
                }
                sleep(COUNT_EVERY).await;
            }
        }
        sleep(COUNT_EVERY).await;
    }
}
