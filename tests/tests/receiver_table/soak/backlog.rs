//! Large events that wait for the slow endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::program::Program;

use super::events::{Ids, Kind, post};
use super::scale::Scale;
use super::stage::Stage;

/// Posts of large events at the same time.
const POSTS: usize = 2;

/// Backlog of one run.
pub(super) struct Backlog {
    ids: Arc<Ids>,
    /// Fewest events that waited at any time.
    fewest: AtomicUsize,
}

impl Backlog {
    /// Sends the events while the consumer runs; each has to be accepted. `good` is the
    /// receiver that gets them too, without a delay.
    pub(super) async fn fill(stage: &Stage, scale: &Scale, ids: &Arc<Ids>, good: &Ids) -> Self {
        let [medium, large] = scale.backlog;
        let every = medium / large;
        let bodies = (0..medium).flat_map(|number| {
            let is_last = number % every == every - 1;
            let largest = is_last.then(|| Kind::Large.body(number));
            [Some(Kind::Backlog.body(number)), largest]
        });
        let posts = stream::iter(bodies.flatten()).map(|body| async move {
            eventually(AT_LAST, "an event of the backlog", || {
                post(stage.events, body.clone())
            })
            .await
        });
        let mut accepted = posts.buffer_unordered(POSTS);
        while let Some(id) = accepted.next().await {
            ids.accept(id);
            good.forget();
        }
        Self {
            ids: Arc::clone(ids),
            fewest: AtomicUsize::new(ids.missing()),
        }
    }

    /// Notes how many events wait.
    pub(super) fn note(&self) {
        self.fewest.fetch_min(self.ids.missing(), Ordering::Relaxed);
    }

    /// Asserts that enough events waited all the time, more than the consumer may hold.
    /// Returns a summary.
    pub(super) fn assert_reached(&self, scale: &Scale, consumer: &Program) -> String {
        let fewest = self.fewest.load(Ordering::Relaxed);
        assert!(fewest >= scale.least_waiting, "{fewest}");
        let log = consumer.stderr_so_far();
        assert!(log.contains("large events: prefetch lowered"), "{log}");
        format!("backlog: at least {fewest} large events all the time")
    }
}
