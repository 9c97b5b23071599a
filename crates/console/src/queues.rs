//! Reads of the queues: depths, and dead letters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Mutex, OwnedMutexGuard},
    task::spawn_blocking,
    time::timeout,
};
use wahook_domain::EndpointName;
use wahook_queue::{
    AbsentQueues, Broker, EndpointQueue, EndpointQueues, Inspector, LookError, StoredQueues,
    topology::DEAD_QUEUE,
};

use crate::{failure::Failure, letter::Letter};

/// Name of the connections in the broker's listings.
pub(crate) const NAME: &str = "wahook-console";
/// Time limit for depths: endpoints are shown without them after it.
const DEPTHS_WITHIN: Duration = Duration::from_secs(3);
/// Dead letters that a list reads at most.
const MOST_DEAD_LETTERS: usize = 20_000;
const DEAD_LETTERS_WITHIN: Duration = Duration::from_secs(20);
const WAIT_FOR_DEAD_LETTERS: Duration = Duration::from_secs(5);

/// Queues of the broker or of the data file.
pub(crate) struct Queues {
    broker: Broker,
    /// Queues of a data file, which are read without taking messages.
    stored: Option<Arc<dyn StoredQueues>>,
    depths: Mutex<Counted>,
    /// Held while dead letters are taken: nobody else would see them.
    dead_letters: Arc<Mutex<()>>,
}

/// Queues of endpoints, of which the depths are read.
#[derive(Default)]
struct Counted {
    /// Kept while it works.
    connection: Option<EndpointQueues>,
    absent: AbsentQueues,
}

/// Depths of the endpoints' queues.
pub(crate) type Depths = BTreeMap<EndpointName, EndpointQueue>;

/// Dead letters that were read.
pub(crate) struct DeadLettersRead {
    pub(crate) letters: Vec<Letter>,
    /// False if there are more than a list reads.
    pub(crate) is_complete: bool,
}

impl Queues {
    pub(crate) fn new(broker: Broker, stored: Option<Arc<dyn StoredQueues>>) -> Self {
        Self {
            broker,
            stored,
            depths: Mutex::default(),
            dead_letters: Arc::default(),
        }
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.broker
    }

    /// Returns the queues of a data file.
    pub(crate) fn stored(&self) -> Option<Arc<dyn StoredQueues>> {
        self.stored.clone()
    }

    /// Returns the depths of the queues of `names` and of all endpoints that are known to the
    /// broker; `None` if it is unavailable.
    pub(crate) async fn depths(&self, names: BTreeSet<EndpointName>) -> Option<Depths> {
        let mut counted = self.depths.lock().await;
        let read = read_depths(&self.broker, &mut counted, names);
        let read = timeout(DEPTHS_WITHIN, read).await;
        match read {
            Ok(Ok(depths)) => return Some(depths),
            Ok(Err(error)) => tracing::warn!(%error, "console: depths of queues are unknown"),
            Err(_) => tracing::warn!("console: the broker did not return the depths of queues"),
        }
        // A broken connection is not used again.
        counted.connection = None;
        None
    }

    /// Waits until no one else takes dead letters.
    pub(crate) async fn lock_dead_letters(&self) -> Result<OwnedMutexGuard<()>, Failure> {
        let lock = Arc::clone(&self.dead_letters).lock_owned();
        let locked = timeout(WAIT_FOR_DEAD_LETTERS, lock).await;
        locked.map_err(|_| Failure::busy("wait for the job on dead letters to end, or cancel it"))
    }

    /// Reads dead letters, without their content.
    pub(crate) async fn dead_letters(&self) -> Result<DeadLettersRead, Failure> {
        let lock = self.lock_dead_letters().await?;
        let (broker, stored) = (self.broker.clone(), self.stored.clone());
        // A data file is read by blocking calls.
        let reading = spawn_blocking(move || {
            // Until the end of the read, even if the client disconnects before.
            let _lock = lock;
            let read = timeout(DEAD_LETTERS_WITHIN, read_dead(&broker, stored));
            Handle::current().block_on(read)
        });
        match reading.await {
            Ok(Ok(Ok(read))) => Ok(read),
            Ok(Ok(Err(error))) => Err(Failure::broker(error)),
            Ok(Err(_)) => Err(Failure::broker("dead letters could not be read in time")),
            // Only while the program ends, or after a panic, which is logged.
            Err(_) => Err(Failure::busy("repeat the request")),
        }
    }
}

async fn read_depths(
    broker: &Broker,
    counted: &mut Counted,
    mut names: BTreeSet<EndpointName>,
) -> Result<Depths, LookError> {
    let queues = match counted.connection.take() {
        Some(queues) => queues,
        None => EndpointQueues::open(broker, NAME).await?,
    };
    let registered = queues.register(&BTreeSet::new()).await?;
    names.extend(registered.iter().map(|declared| declared.endpoint.clone()));
    let absent = &mut counted.absent;
    let depths = queues.census(&names, &registered, absent).await?;
    counted.connection = Some(queues);
    Ok(depths)
}

async fn read_dead(
    broker: &Broker,
    stored: Option<Arc<dyn StoredQueues>>,
) -> Result<DeadLettersRead, LookError> {
    let inspector = match (broker, stored) {
        (_, Some(stored)) => Inspector::of_store(stored),
        (Broker::RabbitMq(uri), None) => Inspector::open(uri, NAME).await?,
        (Broker::Local(_), None) => return Ok(DeadLettersRead::none()),
    };
    let mut read = DeadLettersRead::none();
    let mut look = inspector.look(DEAD_QUEUE).await?;
    while let Some(seen) = look.next().await? {
        if read.letters.len() >= MOST_DEAD_LETTERS {
            read.is_complete = false;
            break;
        }
        read.letters.push(Letter::of(&seen.dead_letter()));
    }
    look.requeue().await;
    inspector.close().await;
    Ok(read)
}

impl DeadLettersRead {
    fn none() -> Self {
        Self {
            letters: Vec::new(),
            is_complete: true,
        }
    }
}
