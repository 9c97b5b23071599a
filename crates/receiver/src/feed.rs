//! Changes as server-sent events, until the program stops or the client disconnects.
//!
//! The next event is made once the connection has taken the last one, from the state at that time.
//! So a slow stream has one event in memory, and skips intermediate changes.

use std::{convert::Infallible, pin::Pin, sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures_util::stream;
use tokio::{sync::watch, time::sleep};
use wahook_runtime::Shutdown;

use crate::state::State;

/// Delay before an event, to combine changes.
const GATHER: Duration = Duration::from_millis(25);
/// Interval of comments without data: a failed write detects a client that is gone.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Delay before a browser reconnects, in milliseconds.
const RETRY_MS: u32 = 500;

/// Returns the body of the answer. `last_event_id` is the last event that the client has.
pub(crate) fn body(state: Arc<State>, last_event_id: Option<&str>, shutdown: &Shutdown) -> Body {
    let since = last_event_id.and_then(|id| step_of(id, state.run()));
    let updates = Updates {
        steps: state.steps(),
        state,
        since: since.unwrap_or_default(),
        is_started: false,
        stop: Box::pin(shutdown.soft()),
    };
    Body::from_stream(stream::unfold(updates, |mut updates| async {
        let event = updates.next().await?;
        Some((Ok::<_, Infallible>(event), updates))
    }))
}

/// Parses the id of an event, `RUN.STEP`. Returns `None` for another run.
fn step_of(id: &str, run: &str) -> Option<u64> {
    let (of, step) = id.rsplit_once('.')?;
    (of == run).then(|| step.parse().ok())?
}

struct Updates {
    state: Arc<State>,
    steps: watch::Receiver<u64>,
    since: u64,
    is_started: bool,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Updates {
    async fn next(&mut self) -> Option<Bytes> {
        if !self.is_started {
            self.is_started = true;
            return Some(self.update());
        }
        let since = self.since;
        tokio::select! {
            // Cannot fail: `state` owns the sender.
            _ = self.steps.wait_for(|step| *step > since) => {}
            () = sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b":\n\n")),
            () = &mut self.stop => return None,
        }
        sleep(GATHER).await;
        Some(self.update())
    }

    fn update(&mut self) -> Bytes {
        let update = self.state.update_since(self.since);
        self.since = update.step;
        let (run, step) = (&update.run, update.step);
        // Strings and numbers always serialize, and their JSON has no line ends.
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
    fn event_id_of_another_run_is_ignored() {
        assert_eq!(step_of("a-1.17", "a-1"), Some(17));
        assert_eq!(step_of("b-2.17", "a-1"), None);
        for other in ["", "17", "a-1.", "a-1.x"] {
            assert_eq!(step_of(other, "a-1"), None, "{other}");
        }
    }
}
