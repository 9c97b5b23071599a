//! Faults of the network between the consumer and the broker.

use std::time::Duration;

use tokio::time::sleep;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::act::Act;
use crate::gateway::Rate;

/// Same as for a killed broker: unacked messages are redelivered.
const DUPLICATES_PER_CUT: u64 = 400;

pub(super) async fn broken(act: &mut Act<'_>) -> anyhow::Result<()> {
    act.duplicates_per_kill = DUPLICATES_PER_CUT;
    let direct = act.stage.brokers.node()?.amqp_url();
    let (proxy, through) = TcpProxy::to_server_of(&direct).await;
    act.stage.only_consumer(&[("AMQP_URL", &through)]).await;
    act.send(Rate::STEADY)?;
    act.more_posts(500).await?;
    for _ in 0..act.size.pick(1, 5) {
        for network in [
            Network::Cut,
            Network::Slow(Duration::from_millis(50)),
            Network::Reset,
            // Until both sides detect missing heartbeats.
            Network::Silent,
        ] {
            proxy.set(network);
            act.kills += 1;
            let lasts = match network {
                Network::Silent => 12,
                Network::Slow(_) => 3,
                _ => 1,
            };
            sleep(Duration::from_secs(lasts)).await;
            proxy.set(Network::Works);
            act.more_posts(500).await?;
        }
    }
    // All events must be done before the proxy is dropped.
    act.all_done().await
}
