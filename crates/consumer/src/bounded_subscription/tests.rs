use std::{
    mem,
    sync::{Mutex, Weak},
};

use tokio::sync::watch;
use wahook_queue::{
    Broker, ConsumerConnection, LinkState, LocalQueue, MessageMetadata, Stored, Topology,
    local::{Command, Delivered, Settlement, Subscriber, Tag},
};

use super::*;

/// Store whose only queue has one subscriber.
struct Store {
    this: Weak<Self>,
    subscriber: Mutex<Option<Subscriber>>,
    settled: Mutex<Vec<(i64, Settlement)>>,
    link: watch::Sender<LinkState>,
}

impl LocalQueue for Store {
    fn submit(&self, command: Command) {
        match command {
            Command::Subscribe(subscriber) => {
                *self.subscriber.lock().unwrap() = Some(subscriber);
            }
            Command::Cancel(_) => *self.subscriber.lock().unwrap() = None,
            Command::Settle(tag, settlement) => {
                self.settled.lock().unwrap().push((tag.0, settlement));
            }
            _ => {}
        }
    }

    fn link(&self) -> watch::Receiver<LinkState> {
        self.link.subscribe()
    }
}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            subscriber: Mutex::default(),
            settled: Mutex::default(),
            link: watch::Sender::default(),
        })
    }

    /// Delivers a message of this size.
    fn deliver(&self, tag: i64, bytes: usize) {
        let message = Stored {
            metadata: MessageMetadata::default(),
            payload: vec![0; bytes].into(),
        };
        let store = self.this.upgrade().unwrap();
        let delivered = Delivered::new(message, false, Tag(tag), store);
        let subscriber = self.subscriber.lock().unwrap();
        let sent = subscriber.as_ref().unwrap().messages.send(delivered);
        assert!(sent.is_ok());
    }

    fn settled(&self) -> Vec<(i64, Settlement)> {
        mem::take(&mut self.settled.lock().unwrap())
    }
}

/// Subscribes with a share of 100 bytes.
async fn subscription(
    store: &Arc<Store>,
    memory: &Arc<MemoryShare>,
    by_rate: u16,
) -> BoundedSubscription {
    memory.set_bytes(100);
    let store: Arc<dyn LocalQueue> = Arc::<Store>::clone(store);
    let broker = Broker::Local(store);
    let topology = Topology::default();
    let connection = ConsumerConnection::connect(&broker, "test", &topology).await;
    let connection = connection.unwrap();
    let prefetch = memory.prefetch(by_rate);
    let subscription = connection.subscribe("queue", prefetch.messages()).await;
    BoundedSubscription::new(subscription.unwrap(), Arc::clone(memory), prefetch)
}

fn memory() -> Arc<MemoryShare> {
    Arc::new(MemoryShare::of("queue".to_owned()))
}

#[tokio::test]
async fn message_above_the_share_is_requeued_after_the_cancel_only() {
    let (store, memory) = (Store::new(), memory());
    let mut subscription = subscription(&store, &memory, 10).await;
    for (tag, bytes) in [(1, 60), (2, 60), (3, 30)] {
        store.deliver(tag, bytes);
    }
    let first = subscription.next().await.unwrap().unwrap();
    assert!(!subscription.is_outdated());
    assert!(subscription.next().await.unwrap().is_none());
    assert_eq!(memory.prefetch(10).messages(), 1);
    assert!(subscription.is_outdated());
    let third = subscription.next().await.unwrap().unwrap();
    assert_eq!((first.bytes(), third.bytes()), (60, 30));
    assert!(store.settled().is_empty());
    store.deliver(4, 20);
    subscription.cancel().await;
    assert!(subscription.is_cancelled() && !subscription.is_outdated());
    let end = loop {
        match subscription.next().await {
            Ok(received) => assert!(received.is_none()),
            Err(end) => break end,
        }
    };
    assert!(matches!(end, SubscriptionEnded::Cancelled));
    let requeued = [2, 4].map(|tag| (tag, Settlement::Requeue));
    assert_eq!(store.settled(), requeued);
    first.receipt.ack().await.unwrap();
    third.receipt.ack().await.unwrap();
    assert_eq!(
        store.settled(),
        [(1, Settlement::Ack), (3, Settlement::Ack)]
    );
}

#[tokio::test]
async fn messages_are_counted_on_arrival_and_until_their_bodies_are_dropped() {
    let (store, memory) = (Store::new(), memory());
    let mut subscription = subscription(&store, &memory, 10).await;
    for tag in 1..=3 {
        store.deliver(tag, 40);
    }
    // No permit is free for the first one.
    assert!(subscription.receive().now_or_never().is_none());
    assert_eq!(memory.prefetch(10).messages(), 2);
    let Ok(Some(first)) = subscription.next().await else {
        panic!("the first message fits")
    };
    assert!(memory.until_fitting().now_or_never().is_none());
    drop(first);
    assert!(memory.until_fitting().now_or_never().is_none());
    drop(subscription);
    memory.until_fitting().await;
}

#[tokio::test]
async fn single_messages_fit_and_small_ones_raise_the_prefetch() {
    let (store, memory) = (Store::new(), memory());
    memory.set_bytes(100);
    let full = memory.prefetch(10);
    let mut recent = RecentSize::default();
    recent.record(300);
    memory.lower(recent, full);
    let mut subscription = subscription(&store, &memory, 10).await;
    assert_eq!(subscription.prefetch().messages(), 1);
    for tag in 1..=2 {
        store.deliver(tag, 300);
    }
    let _in_flight = subscription.next().await.unwrap().unwrap();
    assert!(subscription.next().await.unwrap().is_some());
    assert!(!subscription.is_outdated());
    let mut small = 0;
    while memory.prefetch(10) != full {
        store.deliver(3, 1);
        assert!(subscription.next().await.unwrap().is_some());
        small += 1;
        assert!(small < 20);
    }
}

#[tokio::test]
async fn batch_ends_at_its_limit_or_at_a_message_that_does_not_fit() {
    let (store, memory) = (Store::new(), memory());
    let mut subscription = subscription(&store, &memory, 10).await;
    for (tag, bytes) in [(1, 10), (2, 10), (3, 10), (4, 95), (5, 10)] {
        store.deliver(tag, bytes);
    }
    assert_eq!(subscription.next_batch(2).await.unwrap().len(), 2);
    let batch = subscription.next_batch(9).await.unwrap();
    let rest = subscription.next_batch(9).await.unwrap();
    assert_eq!((batch.len(), rest.len()), (1, 1));
    drop((batch, rest));
    let settled = store.settled();
    assert!(!settled.contains(&(4, Settlement::Requeue)), "{settled:?}");
    subscription.cancel().await;
    assert_eq!(
        subscription
            .next_batch(9)
            .await
            .ok()
            .map(|batch| batch.len()),
        None
    );
}
