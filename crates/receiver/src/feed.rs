//! What has changed, as server-sent events, until the program stops or the
//! reader leaves.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::{sync::watch, time::sleep};
use wahook_runtime::Shutdown;

use crate::state::State;

/// Changes that come together go out together.
const GATHER: Duration = Duration::from_millis(25);
/// A reader that has gone without a word is noticed by what can't be written.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How soon a browser connects again, in milliseconds.
const RETRY_MS: u32 = 500;

/// The body of the answer. `last_event_id` is what the reader has seen.
pub(crate) fn body(state: Arc<State>, last_event_id: Option<&str>, shutdown: &Shutdown) -> Body {
    let since = last_event_id.and_then(|id| seen(id, state.run()));
    let follower = Follower {
        steps: state.steps(),
        state,
        since: since.unwrap_or_default(),
        greeted: false,
        stop: Box::pin(shutdown.soft()),
    };
    Body::from_stream(stream::unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok::<_, Infallible>(event), follower))
    }))
}

/// `RUN.STEP`, as the events' ids are. Of another run nothing was seen.
fn seen(id: &str, run: &str) -> Option<u64> {
    let (of, step) = id.rsplit_once('.')?;
    (of == run).then(|| step.parse().ok())?
}

struct Follower {
    state: Arc<State>,
    steps: watch::Receiver<u64>,
    since: u64,
    greeted: bool,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Follower {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.greeted {
            self.greeted = true;
            return Some(self.update());
        }
        let since = self.since;
        tokio::select! {
            // Its sender lives in the state, which is held here.
            _ = self.steps.wait_for(|step| *step > since) => {}
            () = sleep(SIGN_OF_LIFE) => return Some(Bytes::from_static(b":\n\n")),
            () = &mut self.stop => return None,
        }
        sleep(GATHER).await;
        Some(self.update())
    }

    fn update(&mut self) -> Bytes {
        let update = self.state.update_since(self.since);
        self.since = update.step;
        let (run, step) = (&update.run, update.step);
        // Strings and numbers always have a JSON form; it has no line ends.
        let data = serde_json::to_string(&update).unwrap_or_default();
        Bytes::from(format!(
            "retry: {RETRY_MS}\nid: {run}.{step}\ndata: {data}\n\n"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_steps_of_this_run_were_seen() {
        assert_eq!(seen("a-1.17", "a-1"), Some(17));
        assert_eq!(seen("b-2.17", "a-1"), None);
        for other in ["", "17", "a-1.", "a-1.x"] {
            assert_eq!(seen(other, "a-1"), None, "{other}");
        }
    }
}
