//! Owners of lanes that are frozen, or whose connection to the broker ends on the broker's side
//! only.

use std::time::Duration;

use wahook_tests::chats::fails_once;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::random::Random;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use super::arrivals::Arrivals;
use super::endpoint::{self, AFTERWARDS, ANSWERED_AFTER, CONSUMERS, PAUSE};
use super::load::{Load, url_of};
use super::outcome::{Bounds, Outcome};
use super::ownership::{balanced, idle, return_consumer, take_consumer};

/// Attempts in flight of a consumer.
const CONCURRENCY: usize = 64;
const CHATS: usize = 60;
const FROZEN_FOR: Duration = Duration::from_secs(60);
/// Time in which the reset connection is refused.
const RESET_FOR: Duration = Duration::from_secs(30);
/// Repeats that an owner may cause: of events that were in flight when its lease ended, and of
/// each chat the one request that was being written.
const BOUNDS: Bounds = Bounds {
    repeated: CONCURRENCY,
    late: Some(1),
};

/// Three consumers under load, each with a third of the lanes.
struct CutOff {
    pair: Pair,
    arrivals: Arrivals,
    load: Load,
}

/// Freezes an owner.
pub(super) async fn frozen(servers: &Servers, seed: u64) -> anyhow::Result<Outcome> {
    let run = CutOff::start(servers, &[]).await?;
    println!("an owner is frozen");
    let owner = take_consumer(&run.pair, Random::seeded(seed).within(0, CONSUMERS - 1));
    owner.freeze();
    run.go_on("frozen", FROZEN_FOR).await;
    owner.thaw();
    return_consumer(&run.pair, owner);
    let seconds = FROZEN_FOR.as_secs();
    run.finish(format!("owner of lanes frozen (SIGSTOP) for {seconds} s"))
        .await
}

/// Resets the connections of an owner on the broker's side. The owner gets no notice.
pub(super) async fn reset(servers: &Servers) -> anyhow::Result<Outcome> {
    let (proxy, url) = TcpProxy::to_server_of(&servers.rabbitmq.amqp_url()).await;
    let run = CutOff::start(servers, &[("AMQP_URL", url.as_str())]).await?;
    println!("the connections of an owner are reset on the broker's side");
    proxy.set(Network::ServerReset);
    run.go_on("reset", RESET_FOR).await;
    proxy.set(Network::Works);
    run.finish("connections of an owner of lanes reset on the broker's side only")
        .await
}

impl CutOff {
    /// Starts the consumers, one of them with additional settings, and waits for the balance.
    async fn start(servers: &Servers, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let arrivals = Arrivals::default();
        let receiver = arrivals.receiver(fails_once, |_| ANSWERED_AFTER).await;
        let concurrency = CONCURRENCY.to_string();
        let settings_of_all = endpoint::failing(&concurrency, "200");
        let pair = servers.pair(receiver, &settings_of_all).await;
        for _ in 2..CONSUMERS {
            pair.add_consumer().await;
        }
        pair.add_consumer_with(settings).await;
        let load = Load::start(&url_of(&pair), 0..CHATS, PAUSE)?;
        balanced(&pair, CONSUMERS).await?;
        Ok(Self {
            pair,
            arrivals,
            load,
        })
    }

    async fn go_on(&self, what: &str, time: Duration) {
        self.load.go_on(what, time, || self.arrivals.taken()).await;
    }

    /// Goes on after the fault, waits for the deliveries and judges them.
    async fn finish(self, fault: impl Into<String>) -> anyhow::Result<Outcome> {
        self.go_on("over", AFTERWARDS).await;
        let posted = self.load.stop().await;
        self.arrivals.until_taken(posted.len()).await?;
        idle(&self.pair).await?;
        let posts = self.pair.receiver.posts();
        Ok(Outcome::of(fault, &posted, &posts, fails_once, BOUNDS))
    }
}
