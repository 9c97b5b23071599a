//! Partition of a cluster under load: one node is cut off from the others, together with the
//! consumer that is connected to it.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use wahook_queue::LANE_PREFETCH;
use wahook_tests::chats::fails_once;
use wahook_tests::cluster::Cluster;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::http_client::http_client;
use wahook_tests::mongod::Mongod;
use wahook_tests::pair::{Pair, Place};
use wahook_tests::random::Random;

use super::arrivals::Arrivals;
use super::changes::{Changes, Watch};
use super::endpoint::{self, AFTERWARDS, ANSWERED_AFTER, PAUSE};
use super::load::{Load, url_of};
use super::outcome::{Bounds, Outcome};
use super::ownership::{balanced, idle, owned_by_each, take_consumer, urls_of};

const CHATS: usize = 48;
const BEFORE: Duration = Duration::from_secs(10);
const PARTED_FOR: Duration = Duration::from_secs(90);

/// Cuts a node off for 90 s.
pub(super) async fn measure(
    cluster: &Cluster,
    mongod: &Mongod,
    seed: u64,
) -> anyhow::Result<Outcome> {
    let arrivals = Arrivals::default();
    let pair = start(cluster, mongod, &arrivals).await?;
    let load = Load::start(&url_of(&pair), 0..CHATS, PAUSE)?;
    println!("three consumers, each connected to another node");
    balanced(&pair, cluster.nodes().len()).await?;
    load.go_on("whole", BEFORE, || arrivals.taken()).await;
    let node = Random::seeded(seed).within(0, cluster.nodes().len() - 1);
    let led = lanes_led(cluster, node).await?;
    let owned = owned_by_each(&pair, &http_client()?).await?;
    let owned = owned.get(node).copied().unwrap_or_default();
    println!("one node is cut off, which leads {led} lanes and whose consumer owns {owned}");
    let watch = Watch::start(urls_of(&pair))?;
    let before = load.accepted();
    cluster.cut_off(node).await?;
    load.go_on("parted", PARTED_FOR, || arrivals.taken()).await;
    let meanwhile = load.accepted() - before;
    let healed = Instant::now();
    cluster.heal(node).await?;
    let since = balanced(&pair, cluster.nodes().len()).await?;
    load.go_on("balanced", AFTERWARDS, || arrivals.taken())
        .await;
    let posted = load.stop().await;
    arrivals.until_taken(posted.len()).await?;
    idle(&pair).await?;
    let Changes { owners, parked } = watch.stop().await?;
    let bounds = Bounds {
        repeated: owners * usize::from(LANE_PREFETCH) * (1 + parked),
        late: None,
    };
    let posts = pair.receiver.posts();
    let fault = format!(
        "one of three nodes cut off from the others for {} s, with the consumer that is connected \
         to it",
        PARTED_FOR.as_secs()
    );
    let mut outcome = Outcome::of(fault, &posted, &posts, fails_once, bounds);
    outcome.note = format!(
        "the node led {led} of the lanes, its consumer owned {owned}; {meanwhile} events accepted \
         during the cut; a lane got another owner {owners} times; at most {parked} parked keys in a lane; \
         balanced {:.1} s after the cut",
        since.saturating_duration_since(healed).as_secs_f64()
    );
    println!("    {}", outcome.note);
    Ok(outcome)
}

/// Starts a producer that knows all nodes, and for each node a consumer that knows only it.
async fn start(cluster: &Cluster, mongod: &Mongod, arrivals: &Arrivals) -> anyhow::Result<Pair> {
    let receiver = arrivals.receiver(fails_once, |_| ANSWERED_AFTER).await;
    let place = Place {
        amqp_url: cluster.amqp_url(),
        mongodb_uri: mongod.uri(),
        database: "wahook-parted".to_owned(),
    };
    let pair = Pair::start(place, receiver, &endpoint::failing("64", "300")).await;
    // It knows all nodes too.
    let first = take_consumer(&pair, 0);
    for node in cluster.nodes() {
        let url = node.amqp_url();
        pair.add_consumer_with(&[("AMQP_URL", url.as_str())]).await;
    }
    first.terminate();
    let status = first.wait_exit(AT_LAST).await;
    ensure!(status.success(), "a stopped consumer: {status}");
    Ok(pair)
}

/// Returns the number of lanes whose leader is this node.
async fn lanes_led(cluster: &Cluster, node: usize) -> anyhow::Result<usize> {
    let leaders = cluster.leaders("/").await.context("leaders of lanes")?;
    let lanes = leaders
        .iter()
        .filter(|(queue, leader)| queue.starts_with("wahook.lane.") && **leader == node);
    Ok(lanes.count())
}
