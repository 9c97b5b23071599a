//! Owners of the lanes, as the metrics of the consumers show them.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::time::sleep;
use wahook_domain::{LaneCount, OrderKey};
use wahook_tests::http_client::http_client;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Metrics, Program};

use super::endpoint::LANES;
use crate::until::until;

/// Time limit for the balance, beyond its bound.
const BALANCED_WITHIN: Duration = Duration::from_secs(60);
/// Time for which a balance must last.
const KEPT_FOR: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until so many consumers own all lanes, none of them two more than another one, and
/// for some time on. Returns the beginning of that time.
pub(super) async fn balanced(pair: &Pair, consumers: usize) -> anyhow::Result<Instant> {
    let http = http_client()?;
    let end = Instant::now() + BALANCED_WITHIN;
    let mut since = None;
    loop {
        let lanes = owned_by_each(pair, &http).await?;
        if lanes.len() == consumers && are_balanced(&lanes) {
            let since = *since.get_or_insert_with(Instant::now);
            if since.elapsed() >= KEPT_FOR {
                return Ok(since);
            }
        } else {
            since = None;
        }
        ensure!(
            Instant::now() < end,
            "no balance of {LANES} lanes within {BALANCED_WITHIN:?}: {lanes:?}"
        );
        sleep(PAUSE).await;
    }
}

/// Returns the number of lanes that each consumer owns.
pub(super) async fn owned_by_each(
    pair: &Pair,
    http: &reqwest::Client,
) -> anyhow::Result<Vec<usize>> {
    let all = metrics_of_all(pair, http).await?;
    Ok(all.iter().map(|metrics| owned(metrics).len()).collect())
}

/// Waits until no consumer holds an event.
pub(super) async fn idle(pair: &Pair) -> anyhow::Result<()> {
    let http = http_client()?;
    until("the lanes are empty", || async {
        let all = metrics_of_all(pair, &http).await?;
        Ok(all
            .iter()
            .all(|of_one| of_one.sum("wahook_lane_events") == 0.0))
    })
    .await
}

/// Returns the lanes that a consumer owns.
pub(super) fn owned(metrics: &Metrics) -> BTreeSet<u8> {
    let is_owned = |lane: &u8| {
        let lane = lane.to_string();
        metrics.sum_where("wahook_lane_owned", &[("lane", &lane)]) > 0.0
    };
    (0..LANES).filter(is_owned).collect()
}

/// Returns the lane of a chat's events.
pub(super) fn lane_of(chat: u64) -> u8 {
    let key = OrderKey::parse(&format!("c:{}@c.us", 15_550_000_000 + chat));
    let bucket = key.as_ref().map_or(0, OrderKey::bucket);
    LaneCount::new(LANES).map_or(0, |lanes| lanes.lane_of(bucket))
}

/// Removes and returns one of the pair's consumers.
pub(super) fn take_consumer(pair: &Pair, index: usize) -> Program {
    let consumers = pair.consumers.lock();
    let mut consumers = consumers.unwrap_or_else(PoisonError::into_inner);
    consumers.swap_remove(index)
}

/// Returns a consumer to its pair.
pub(super) fn return_consumer(pair: &Pair, consumer: Program) {
    let consumers = pair.consumers.lock();
    let mut consumers = consumers.unwrap_or_else(PoisonError::into_inner);
    consumers.push(consumer);
}

/// Returns the addresses of the pair's consumers.
pub(super) fn urls_of(pair: &Pair) -> Vec<String> {
    let consumers = pair.consumers.lock();
    let consumers = consumers.unwrap_or_else(PoisonError::into_inner);
    consumers.iter().map(Program::base_url).collect()
}

pub(super) async fn metrics_at(url: &str, http: &reqwest::Client) -> anyhow::Result<Metrics> {
    let answer = http.get(format!("{url}/metrics")).send().await?;
    let text = answer.text().await.context("the metrics of a consumer")?;
    Metrics::parse(&text)
}

async fn metrics_of_all(pair: &Pair, http: &reqwest::Client) -> anyhow::Result<Vec<Metrics>> {
    let mut all = Vec::new();
    for url in urls_of(pair) {
        all.push(metrics_at(&url, http).await?);
    }
    Ok(all)
}

fn are_balanced(lanes: &[usize]) -> bool {
    let most = lanes.iter().max().copied().unwrap_or_default();
    let least = lanes.iter().min().copied().unwrap_or_default();
    lanes.iter().sum::<usize>() == usize::from(LANES) && most - least <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lanes_at_most_one_apart_are_balanced() {
        for (lanes, expected) in [
            (&[4, 4, 4][..], true),
            (&[12], true),
            (&[6, 6], true),
            (&[3, 3, 2, 2, 2], true),
            (&[5, 4, 3], false),
            (&[4, 4, 3], false),
            (&[5, 4, 4], false),
            (&[12, 0], false),
        ] {
            assert_eq!(are_balanced(lanes), expected, "{lanes:?}");
        }
    }
}
