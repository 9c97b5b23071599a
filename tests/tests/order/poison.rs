//! Events whose delivery panics: dead letters after a few panics, without others.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wahook_consumer::{Backends, Consumer, DeliverySettings};
use wahook_delivery_log::{DeliveryLog, LogFuture, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};
use wahook_mongo_log::{LogSettings, MongoLog};
use wahook_queue::{Broker, BrokerUri};
use wahook_runtime::{Settings, Shutdown};
use wahook_tests::amqp_wire::AmqpWire;
use wahook_tests::chats::{Chats, event_of};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::{Place, SECRET};
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::world::{Test, Tests};

/// Panics before the event ends without an attempt.
const MOST_PANICS: usize = 3;
const POISON: &str = "3-0";
const SETTINGS: [(&str, &str); 2] = [("WEBHOOK_ORDER", "chat"), ("WEBHOOK_LANES", "1")];
const CHATS: Chats = Chats {
    chats: 8,
    each: 4,
    senders: 8,
};

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "an_event_whose_delivery_panics_is_a_dead_letter_after_three_panics",
        |test| poisoned(test, MOST_PANICS),
    );
    tests.add(
        "an_event_that_panics_wherever_it_is_processed_is_rejected",
        |test| poisoned(test, usize::MAX),
    );
}

/// Log whose look-up of one event panics some times.
struct PanickingLog {
    log: Arc<MongoLog>,
    panics: usize,
    made: Arc<AtomicUsize>,
}

impl DeliveryLog for PanickingLog {
    fn write<'a>(&'a self, results: &'a [AttemptResult]) -> LogFuture<'a, WriteReport> {
        self.log.write(results)
    }

    fn find<'a>(
        &'a self,
        id: &'a EventId,
        endpoint: &'a EndpointName,
    ) -> LogFuture<'a, Option<DeliveryRecord>> {
        if id.as_str() == POISON && self.made.load(Ordering::Relaxed) < self.panics {
            self.made.fetch_add(1, Ordering::Relaxed);
            panic!("the delivery of {POISON} panics, as the test requires");
        }
        self.log.find(id, endpoint)
    }

    fn prepare(&self, retention_days: Option<u32>) -> LogFuture<'_, ()> {
        self.log.prepare(retention_days)
    }

    fn ping(&self) -> LogFuture<'_, ()> {
        DeliveryLog::ping(&*self.log)
    }
}

/// Returns a consumer in this process, whose log panics.
async fn consumer(place: &Place, url: &str, panics: usize, made: &Arc<AtomicUsize>) -> Consumer {
    let own = [
        ("WEBHOOK_URL", url),
        ("WEBHOOK_SECRET", SECRET),
        ("CONSUMER_LISTEN", "127.0.0.1:0"),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    let mut settings = Settings::from_pairs(own.into_iter().chain(SETTINGS));
    let delivery = DeliverySettings::read(&mut settings).unwrap();
    let log = LogSettings::read(&mut settings).unwrap();
    let log = Arc::new(log.connect().await.unwrap());
    let broker: BrokerUri = place.amqp_url.parse().unwrap();
    let backends = Backends {
        broker: Broker::from(broker),
        operator: log.clone(),
        circuits: log.clone(),
        history: None,
        log: Arc::new(PanickingLog {
            log,
            panics,
            made: Arc::clone(made),
        }),
    };
    Consumer::new(backends, delivery).unwrap()
}

fn is_poison(post: &Post) -> bool {
    event_of(post) == (3, 0)
}

async fn poisoned(test: Test, panics: usize) {
    // While the first consumer runs, the first event of each chat stays in flight.
    let is_silent = Arc::new(AtomicBool::new(true));
    let silent = Arc::clone(&is_silent);
    let receiver = Receiver::answering(move |_| match silent.load(Ordering::Relaxed) {
        true => Answer::silence(),
        false => Answer::status(200),
    });
    let pair = test.pair(receiver.await, &SETTINGS).await;
    CHATS.post(&pair.producer.base_url()).await;
    let all_begun = |posts: &[Arc<Post>]| posts.len() == CHATS.chats;
    let begun = pair
        .receiver
        .wait_until("the first events", AT_LAST, all_begun);
    begun.await;
    pair.take_consumer().kill9().await;
    is_silent.store(false, Ordering::Relaxed);
    pair.receiver.forget();

    let made = Arc::new(AtomicUsize::new(0));
    let url = pair.receiver.url();
    let consumer = consumer(pair.place(), &url, panics, &made).await;
    let (shutdown, trigger) = Shutdown::manual();
    let running = tokio::spawn(consumer.run(shutdown));
    let dead = eventually(AT_LAST, "the dead letter", || async {
        let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
        wire.get("wahook.dead").await.unwrap()
    })
    .await;
    let body = String::from_utf8_lossy(&dead.body);
    assert!(
        body.contains(r#""chat":3,"#) && body.contains(r#""n":0"#),
        "{body}"
    );
    let expected = MOST_PANICS + usize::from(panics > MOST_PANICS);
    assert_eq!(made.load(Ordering::Relaxed), expected);
    eventually(AT_LAST, "all other events", || async {
        (CHATS.order(&pair.receiver.posts(), is_poison).missing == 1).then_some(())
    })
    .await;
    let posts = pair.receiver.posts();
    let found = CHATS.order(&posts, is_poison);
    assert_eq!((found.inverted_attempts, found.inverted_successes), (0, 0));
    assert!(!posts.iter().any(|post| is_poison(post)), "{found}");
    if panics == MOST_PANICS {
        let record = pair
            .wait_record(POISON, AT_LAST, |record| {
                record.get_str("status").ok() == Some("failed")
            })
            .await;
        let reason = record.get_str("errorMessage").unwrap();
        assert_eq!(reason, "poison: its delivery panicked 3 times");
    }
    let mut wire = AmqpWire::connect(&pair.place().amqp_url).await.unwrap();
    assert!(
        wire.get("wahook.dead").await.unwrap().is_none(),
        "another dead letter"
    );
    trigger.soft();
    running.await.unwrap().unwrap();
}
