//! Changes of the owners of lanes, as the metrics of the consumers show them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use wahook_tests::http_client::http_client;
use wahook_tests::program::Metrics;

use super::endpoint::LANES;
use super::ownership::{metrics_at, owned};

/// Parking slots of a lane.
const SLOTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// Watch in the background.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Changes>,
}

/// Changes since the start of the watch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changes {
    /// Times at which a consumer became the owner of a lane.
    pub(super) owners: usize,
    /// Most keys of a lane whose events were parked at once.
    pub(super) parked: usize,
}

/// Changes, and the lanes that each consumer owned at the last look.
#[derive(Debug)]
struct Watched {
    changes: Changes,
    owned: Vec<Option<BTreeSet<u8>>>,
}

impl Watch {
    /// Starts to watch the consumers with these addresses. The lanes that they own now are no
    /// changes.
    pub(super) fn start(urls: Vec<String>) -> anyhow::Result<Self> {
        let http = http_client()?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let task = tokio::spawn(async move {
            let mut watched = Watched::of(urls.len());
            while !stopped.load(Ordering::Relaxed) {
                for (consumer, url) in urls.iter().enumerate() {
                    // Without an answer the last look counts.
                    if let Ok(metrics) = metrics_at(url, &http).await {
                        watched.look(consumer, owned(&metrics), most_parked(&metrics));
                    }
                }
                sleep(PAUSE).await;
            }
            watched.changes
        });
        Ok(Self { stop, task })
    }

    pub(super) async fn stop(self) -> anyhow::Result<Changes> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.context("the watch of the owners")
    }
}

impl Watched {
    fn of(consumers: usize) -> Self {
        Self {
            changes: Changes::default(),
            owned: vec![None; consumers],
        }
    }

    /// Adds a look at a consumer: the lanes that it owns, and the most parked keys of one.
    fn look(&mut self, consumer: usize, owned: BTreeSet<u8>, parked: usize) {
        self.changes.parked = self.changes.parked.max(parked);
        if let Some(last) = self.owned.get_mut(consumer)
            && let Some(before) = last.replace(owned.clone())
        {
            self.changes.owners += owned.difference(&before).count();
        }
    }
}

/// Returns the most keys of a lane whose events are parked.
fn most_parked(metrics: &Metrics) -> usize {
    let parked =
        |lane: u8| metrics.sum_where("wahook_lane_parked_keys", &[("lane", &lane.to_string())]);
    let most = (0..LANES).map(parked).fold(0.0, f64::max);
    (1..=SLOTS)
        .rev()
        .find(|keys| *keys as f64 <= most)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_that_a_consumer_gets_are_changes_and_those_of_the_first_look_are_not() {
        let mut watched = Watched::of(2);
        for (consumer, lanes, parked, owners) in [
            (0, &[0, 1][..], 0, 0),
            (1, &[2], 3, 0),
            (0, &[0], 1, 0),
            (1, &[1, 2, 3], 0, 2),
            (1, &[], 0, 2),
            (1, &[2], 0, 3),
        ] {
            watched.look(consumer, lanes.iter().copied().collect(), parked);
            assert_eq!(watched.changes.owners, owners);
        }
        assert_eq!(watched.changes.parked, 3);
    }

    #[test]
    fn parked_keys_are_those_of_the_lane_with_most() {
        let text = "\
            wahook_lane_parked_keys{endpoint=\"default\",lane=\"1\"} 1\n\
            wahook_lane_parked_keys{endpoint=\"default\",lane=\"11\"} 3\n\
            wahook_lane_parked_events{endpoint=\"default\",lane=\"1\"} 900\n";
        assert_eq!(most_parked(&Metrics::parse(text).unwrap()), 3);
        assert_eq!(most_parked(&Metrics::default()), 0);
    }
}
