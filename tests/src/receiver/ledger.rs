//! List of received posts, with waiting.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use tokio::sync::watch;

use super::post::Post;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    posts: Mutex<Vec<Arc<Post>>>,
    /// Number of posts; a change wakes the waiting tests.
    count: watch::Sender<usize>,
}

impl Ledger {
    pub(super) fn record(&self, post: Post) -> Arc<Post> {
        let post = Arc::new(post);
        let count = {
            let mut posts = self.lock();
            posts.push(Arc::clone(&post));
            posts.len()
        };
        self.count.send_replace(count);
        post
    }

    pub(super) fn posts(&self) -> Vec<Arc<Post>> {
        self.lock().clone()
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }

    pub(super) async fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        is_enough: impl Fn(&[Arc<Post>]) -> bool,
    ) -> anyhow::Result<Vec<Arc<Post>>> {
        let mut count = self.count.subscribe();
        let enough = count.wait_for(|_| is_enough(&self.lock()));
        let in_time = tokio::time::timeout(deadline, enough).await.is_ok();
        if in_time {
            return Ok(self.posts());
        }
        let posts = self.posts();
        let last: Vec<String> = posts
            .iter()
            .rev()
            .take(10)
            .map(|post| summary(post))
            .collect();
        bail!(
            "not within {deadline:?}: {what}; {} posts arrived, the last ones: {last:?}",
            posts.len()
        )
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Post>>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summary(post: &Post) -> String {
    let id = post.id().unwrap_or("no id");
    match post.attempt() {
        Some(attempt) => format!("{id} attempt {attempt}"),
        None => id.to_owned(),
    }
}
