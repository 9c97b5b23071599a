//! A log on three servers, whose primary is killed, steps down and freezes.

use std::time::Duration;

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::load::Load;
use wahook_tests::pair::{Pair, Place};
use wahook_tests::rabbitmq::RabbitMq;
use wahook_tests::receiver::Receiver;
use wahook_tests::replica_set::ReplicaSet;

use crate::oracle::{assert_all_arrived_from, assert_all_logged};
use crate::some_fail;

/// More events than can be in flight or prefetched without a log.
const MORE: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_of_mongodb_that_is_killed_steps_down_or_freezes_loses_no_result() {
    let (rabbitmq, set) = tokio::join!(RabbitMq::start(), ReplicaSet::start());
    let place = Place {
        amqp_url: rabbitmq.amqp_url(),
        mongodb_uri: set.uri(),
        database: "wahook-test".to_owned(),
    };
    let settings = [("WEBHOOK_RETRY_DELAY", "300")];
    let pair = Pair::start(place, Receiver::answering(some_fail).await, &settings).await;
    let load = Load::start(&pair.producer, 8, Duration::from_millis(20), 200_000);
    more_posts(&pair).await;

    let killed = set.primary().await;
    set.members()[killed].kill9().await;
    more_posts(&pair).await;
    set.primary_after(killed).await;
    set.members()[killed].restart().await;
    set.wait_whole().await;
    more_records(&pair).await;

    let primary = set.step_down().await;
    more_posts(&pair).await;
    let primary = set.primary_after(primary).await;
    set.wait_whole().await;
    more_records(&pair).await;

    // With a second member frozen no write is confirmed, and no other primary elected.
    let second = &set.members()[(primary + 1) % 3];
    set.members()[primary].freeze();
    second.freeze();
    more_posts(&pair).await;
    second.thaw();
    set.primary_after(primary).await;
    more_records(&pair).await;
    set.members()[primary].thaw();
    set.wait_whole().await;
    more_posts(&pair).await;

    let accepted = load.stop().await;
    assert_all_arrived_from(&rabbitmq, &pair, &accepted, AT_LAST).await;
    assert_all_logged(&pair, &accepted, AT_LAST).await;
    let consumer = pair.take_consumer();
    let drained = consumer.wait_metrics("every spilled result is drained", AT_LAST, |metrics| {
        let path = |path| metrics.sum_where("wahook_log_results_total", &[("path", path)]);
        path("spilled") > 0.0 && path("drained") >= path("spilled")
    });
    drained.await;
}

async fn more_posts(pair: &Pair) {
    let enough = pair.receiver.posts().len() + MORE;
    pair.receiver.wait_for(enough, AT_LAST).await;
}

/// Waits until the log has more records than now.
async fn more_records(pair: &Pair) {
    let count = || async { pair.log().estimated_document_count().await.ok() };
    let before = eventually(AT_LAST, "an answer of the log", &count).await;
    eventually(AT_LAST, "more records", || async {
        count().await.filter(|now| *now > before)
    })
    .await;
}
