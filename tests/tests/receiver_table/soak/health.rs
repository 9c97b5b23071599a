//! Health checks during the attacks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use wahook_tests::http_client::http_client;

use super::stage::Stage;

const PAUSE: Duration = Duration::from_millis(500);

/// Running checks.
pub(super) struct Checks {
    counts: Vec<(String, Arc<AtomicUsize>)>,
    tasks: JoinSet<()>,
}

impl Checks {
    /// Asks each server of the programs again and again, each path by a task of its own.
    pub(super) fn start(stage: &Stage) -> Self {
        let (mut counts, mut tasks) = (Vec::new(), JoinSet::new());
        for (name, base_url) in &stage.health {
            let metrics = (*name != "console").then_some("/metrics");
            for path in ["/livez", "/readyz"].into_iter().chain(metrics) {
                let count = Arc::<AtomicUsize>::default();
                counts.push((format!("{name} {path}"), Arc::clone(&count)));
                tasks.spawn(ask(format!("{base_url}{path}"), count));
            }
        }
        Self { counts, tasks }
    }

    /// Returns the number of answers with 200 of each.
    pub(super) fn answers(&self) -> impl Iterator<Item = (String, usize)> {
        let counts = self.counts.iter();
        counts.map(|(name, count)| (name.clone(), count.load(Ordering::Relaxed)))
    }

    /// Ends the checks; returns the number of answers with 200 of each.
    pub(super) async fn finish(mut self) -> Vec<(String, usize)> {
        self.tasks.shutdown().await;
        self.answers().collect()
    }
}

async fn ask(url: String, answered: Arc<AtomicUsize>) {
    loop {
        // A client of its own: the check must get a new connection.
        let client = http_client().unwrap();
        if let Ok(answer) = client.get(&url).send().await
            && answer.status() == 200
            && answer.bytes().await.is_ok()
        {
            answered.fetch_add(1, Ordering::Relaxed);
        }
        sleep(PAUSE).await;
    }
}
