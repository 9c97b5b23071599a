//! Consumer in the process of the test, whose delivery of one event panics.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use wahook_consumer::{Backends, Consumer, DeliverySettings};
use wahook_delivery_log::{DeliveryLog, LogFuture, SharedLog, WriteReport};
use wahook_domain::{AttemptResult, DeliveryRecord, EndpointName, EventId};
use wahook_mongo_log::{LogSettings, MongoLog};
use wahook_queue::{Broker, BrokerUri};
use wahook_runtime::Settings;
use wahook_tests::chats::{Chats, event_of};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::{Pair, Place, SECRET};
use wahook_tests::receiver::{Answer, Post, Receiver};
use wahook_tests::world::Test;

/// Id of the event, the first one of chat 3.
pub(crate) const POISON: &str = "3-0";

pub(crate) fn is_poison(post: &Post) -> bool {
    event_of(post) == (3, 0)
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
            // A panic whose message and backtrace are not printed.
            resume_unwind(Box::new("a panic that the test requires"));
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

/// Returns servers with events in their queues whose first attempts are in flight, one of each
/// chat, without a consumer: the next one finds them redelivered, and only then looks an event
/// up in the log.
pub(crate) async fn orphaned(test: &Test, settings: &[(&str, &str)], chats: Chats) -> Pair {
    let is_silent = Arc::new(AtomicBool::new(true));
    let silent = Arc::clone(&is_silent);
    let receiver = Receiver::answering(move |_| match silent.load(Ordering::Relaxed) {
        true => Answer::silence(),
        false => Answer::status(200),
    });
    let pair = test.pair(receiver.await, settings).await;
    chats.post(&pair.producer.base_url()).await;
    let all_begun = |posts: &[Arc<Post>]| posts.len() == chats.chats;
    let begun = pair
        .receiver
        .wait_until("the first attempts", AT_LAST, all_begun);
    begun.await;
    pair.take_consumer().kill9().await;
    is_silent.store(false, Ordering::Relaxed);
    pair.receiver.forget();
    pair
}

/// Returns a consumer in this process, whose log panics `panics` times and counts them in `made`.
pub(crate) async fn consumer(
    place: &Place,
    url: &str,
    settings: &[(&str, &str)],
    panics: usize,
    made: &Arc<AtomicUsize>,
) -> Consumer {
    let log = |log| {
        let made = Arc::clone(made);
        Arc::new(PanickingLog { log, panics, made }) as SharedLog
    };
    consumer_with_log(place, url, settings, log).await
}

/// Returns a consumer in this process with a log over the real one.
pub(crate) async fn consumer_with_log(
    place: &Place,
    url: &str,
    settings: &[(&str, &str)],
    log_over: impl FnOnce(Arc<MongoLog>) -> SharedLog,
) -> Consumer {
    let own = [
        ("WEBHOOK_URL", url),
        ("WEBHOOK_SECRET", SECRET),
        ("CONSUMER_LISTEN", "127.0.0.1:0"),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    let mut settings = Settings::from_pairs(own.into_iter().chain(settings.iter().copied()));
    let delivery = DeliverySettings::read(&mut settings).unwrap();
    let log = LogSettings::read(&mut settings).unwrap();
    let log = Arc::new(log.connect().await.unwrap());
    let broker: BrokerUri = place.amqp_url.parse().unwrap();
    let backends = Backends {
        broker: Broker::from(broker),
        operator: log.clone(),
        circuits: log.clone(),
        history: None,
        log: log_over(log),
    };
    Consumer::new(backends, delivery).unwrap()
}
