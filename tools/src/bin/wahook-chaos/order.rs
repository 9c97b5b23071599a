//! Long run of an ordered endpoint: many chats, failing attempts, and kills of consumers and
//! brokers.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mongodb::bson::doc;
use tokio::time::sleep;
use wahook_tests::chats::{ChatOrder, Chats, event_of, fails_once};
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::{self, Pair, Place};
use wahook_tests::random::Random;
use wahook_tests::receiver::{Answer, Post, Receiver};

use crate::brokers::{Brokers, Nodes};

/// Chat whose every attempt fails.
const FAILING_CHAT: u64 = 7;
const CONSUMERS: usize = 3;
const CONSUMER_KILLS: usize = 24;
/// Kills of consumers after which a broker is killed too.
const BROKER_KILLS: [usize; 2] = [8, 16];
/// Time for which a killed node of a cluster stays away.
const AWAY: Duration = Duration::from_secs(3);
/// Time limit without a post.
const NEXT_POST_WITHIN: Duration = Duration::from_secs(180);
const RETRIES: usize = 3;
const SETTINGS: [(&str, &str); 6] = [
    ("WEBHOOK_ORDER", "chat"),
    ("WEBHOOK_LANES", "8"),
    ("WEBHOOK_RETRY_ATTEMPTS", "3"),
    ("WEBHOOK_RETRY_DELAY", "200"),
    ("WEBHOOK_CONCURRENCY", "64"),
    // The failing chat must not pause the endpoint.
    ("WEBHOOK_CIRCUIT", "off"),
];

fn always_fails(post: &Post) -> bool {
    event_of(post).0 == FAILING_CHAT
}

fn fails(post: &Post) -> bool {
    always_fails(post) || fails_once(post)
}

/// Servers, programs and load of the run.
struct Run {
    brokers: Brokers,
    mongod: Mongod,
    pair: Pair,
    chats: Chats,
    random: Random,
}

/// Delivers `events` of 2,000 chats while consumers and brokers are killed. Prints the result;
/// fails if an event is lost or out of order.
pub(crate) async fn run(nodes: Nodes, events: usize, seed: u64) -> anyhow::Result<()> {
    let chats = Chats {
        chats: events.min(2_000),
        each: (events / 2_000).max(1),
        senders: 64,
    };
    let mut run = Run::start(nodes, chats, seed).await?;
    let versions = pair::versions(run.brokers.node()?, &run.mongod).await?;
    println!(
        "{versions}, {}: {} events of {} chats, seed {seed}",
        match nodes {
            Nodes::One => "one node",
            Nodes::Three => "three nodes",
        },
        chats.chats * chats.each,
        chats.chats
    );
    let began = Instant::now();
    let url = run.pair.producer.base_url();
    let posting = tokio::spawn(async move {
        chats.post(&url).await;
        Instant::now()
    });
    run.kill_all().await?;
    let posted = posting.await.context("the posting")?;
    let order = run.settled().await?;
    let took = began.elapsed();
    let repeats = order.posts - run.posts_without_faults();
    println!(
        "accepted in {:.0} s, all done in {:.0} s: {order}; {repeats} repeats, \
         {CONSUMER_KILLS} consumers and {} brokers killed",
        (posted - began).as_secs_f64(),
        took.as_secs_f64(),
        BROKER_KILLS.len()
    );
    let lost = order.missing - chats.each;
    ensure!(lost == 0, "{lost} events lost");
    ensure!(
        order.inverted_attempts + order.inverted_successes == 0,
        "the order of a chat is broken"
    );
    Ok(())
}

impl Run {
    async fn start(nodes: Nodes, chats: Chats, seed: u64) -> anyhow::Result<Self> {
        let (brokers, mongod) = tokio::join!(Brokers::start(nodes), Mongod::start());
        let brokers = brokers?;
        let receiver =
            Receiver::answering(|post| Answer::status(if fails(post) { 500 } else { 200 })).await;
        let place = Place {
            amqp_url: brokers.amqp_url(),
            mongodb_uri: mongod.uri(),
            database: "wahook-order".to_owned(),
        };
        let pair = Pair::start(place, receiver, &SETTINGS).await;
        for _ in 1..CONSUMERS {
            pair.add_consumer().await;
        }
        Ok(Self {
            brokers,
            mongod,
            pair,
            chats,
            random: Random::seeded(seed),
        })
    }

    /// Kills consumers, spread over the run by the number of posts, and brokers.
    async fn kill_all(&mut self) -> anyhow::Result<()> {
        let events = self.chats.chats * self.chats.each;
        for kill in 1..=CONSUMER_KILLS {
            self.wait_for_posts(events * kill / (CONSUMER_KILLS + 2))
                .await?;
            let index = self.random.within(0, CONSUMERS - 1);
            let consumer = {
                let consumers = self.pair.consumers.lock();
                let mut consumers = consumers.unwrap_or_else(std::sync::PoisonError::into_inner);
                let last = consumers.len() - 1;
                consumers.swap_remove(index.min(last))
            };
            consumer.kill9().await;
            if BROKER_KILLS.contains(&kill) {
                self.kill_broker().await?;
            }
            self.pair.add_consumer().await;
        }
        Ok(())
    }

    async fn kill_broker(&mut self) -> anyhow::Result<()> {
        match &self.brokers {
            Brokers::Single(node) => {
                node.try_kill9().await?;
                node.try_restart().await
            }
            Brokers::Cluster(cluster) => {
                let node = cluster.node(self.random.within(0, 2))?;
                node.try_kill9().await?;
                sleep(AWAY).await;
                node.try_restart().await?;
                cluster.wait_whole().await
            }
        }
    }

    /// Waits for this number of posts, as long as posts arrive.
    async fn wait_for_posts(&self, enough: usize) -> anyhow::Result<()> {
        let mut last = (self.pair.receiver.count(), Instant::now());
        while last.0 < enough {
            sleep(Duration::from_millis(20)).await;
            let count = self.pair.receiver.count();
            if count > last.0 {
                last = (count, Instant::now());
            } else if last.1.elapsed() > NEXT_POST_WITHIN {
                bail!("no post within {NEXT_POST_WITHIN:?}, {count} of {enough}");
            }
        }
        Ok(())
    }

    /// Waits until all events are delivered or dead letters.
    async fn settled(&self) -> anyhow::Result<ChatOrder> {
        let dead = doc! { "status": "failed" };
        let mut last = (0, Instant::now());
        loop {
            let letters = self.pair.log().count_documents(dead.clone()).await?;
            let posts = self.pair.receiver.posts();
            let order = self.chats.order(&posts, fails);
            let is_done = order.missing <= self.chats.each && letters == self.chats.each as u64;
            if is_done {
                return Ok(order);
            }
            if posts.len() > last.0 {
                last = (posts.len(), Instant::now());
            } else if last.1.elapsed() > NEXT_POST_WITHIN {
                bail!("{order}; {letters} dead letters, and no post within {NEXT_POST_WITHIN:?}");
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Returns the number of posts of a run in which nothing is killed.
    fn posts_without_faults(&self) -> usize {
        let posts = self.pair.receiver.posts();
        let mut failing: Vec<_> = posts.iter().filter(|post| fails_once(post)).collect();
        failing.retain(|post| !always_fails(post));
        let once: std::collections::BTreeSet<_> =
            failing.iter().map(|post| event_of(post)).collect();
        self.chats.chats * self.chats.each + once.len() + RETRIES * self.chats.each
    }
}
