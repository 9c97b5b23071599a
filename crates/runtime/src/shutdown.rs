//! Graceful shutdown in two steps.
//!
//! *Soft*: accept no new work and finish the work in flight. *Hard*: exit at once;
//! unacked messages stay at the broker, which redelivers them. The first SIGTERM or
//! SIGINT is the soft step; a second one, or the end of the grace period, is the
//! hard step.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Stop signal for all parts of a program. Clones share the state.
///
/// Each clone holds the sender, so the channel never closes, and a step that is not
/// triggered stays pending indefinitely.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<Step>>);

/// Triggers the steps of a [`Shutdown::manual`].
#[derive(Debug, Clone)]
pub struct Trigger(Shutdown);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Running,
    Soft,
    Hard,
}

impl Shutdown {
    /// Creates a shutdown that SIGTERM and SIGINT trigger. From then on, neither signal
    /// ends the process by itself. `grace` is the longest time between the soft and
    /// the hard step.
    ///
    /// # Errors
    /// When the system rejects a signal handler.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let mut signals = StopSignals::new()?;
        let shutdown = Self::new();
        let triggered = shutdown.clone();
        tokio::spawn(async move {
            let name = signals.next().await;
            tracing::info!(
                signal = name,
                grace_s = grace.as_secs_f64(),
                "stopping: finishing work in flight"
            );
            triggered.reach(Step::Soft);
            tokio::select! {
                name = signals.next() => tracing::warn!(signal = name, "stopping at once: second signal received"),
                () = tokio::time::sleep(grace) => tracing::warn!("stopping at once: grace period expired"),
            }
            triggered.reach(Step::Hard);
        });
        Ok(shutdown)
    }

    /// Creates a shutdown that only the trigger sets off, for tests.
    #[must_use]
    pub fn manual() -> (Self, Trigger) {
        let shutdown = Self::new();
        (shutdown.clone(), Trigger(shutdown))
    }

    /// Resolves once the program must accept no new work. A hard stop is also a
    /// soft one.
    pub fn soft(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.reached(Step::Soft)
    }

    /// Resolves once the program must exit at once.
    pub fn hard(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.reached(Step::Hard)
    }

    /// Returns true if the program must accept no new work.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        *self.0.borrow() >= Step::Soft
    }

    /// Returns true if the program must exit at once.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        *self.0.borrow() >= Step::Hard
    }

    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Step::Running)))
    }

    /// Moves to a later step; never moves back.
    fn reach(&self, step: Step) {
        self.0.send_if_modified(|current| {
            let forward = step > *current;
            *current = step.max(*current);
            forward
        });
    }

    fn reached(&self, step: Step) -> impl Future<Output = ()> + Send + 'static + use<> {
        let shutdown = self.clone();
        async move {
            // `shutdown` holds the sender, so the channel cannot close here.
            let _ = shutdown
                .0
                .subscribe()
                .wait_for(|current| *current >= step)
                .await;
        }
    }
}

impl Trigger {
    /// Triggers the soft step.
    pub fn soft(&self) {
        self.0.reach(Step::Soft);
    }

    /// Triggers the hard step, and the soft one if it is still pending.
    pub fn hard(&self) {
        self.0.reach(Step::Hard);
    }
}

struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{process, task::Poll};

    use tokio::time::timeout;

    use super::*;

    /// Far longer than any step here takes.
    const LIMIT: Duration = Duration::from_secs(10);

    async fn is_pending(future: impl Future<Output = ()>) -> bool {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }

    #[tokio::test]
    async fn soft_step_precedes_the_hard_step() {
        let (shutdown, trigger) = Shutdown::manual();
        let waiting = tokio::spawn(shutdown.soft());
        assert!(!shutdown.is_soft() && is_pending(shutdown.soft()).await);
        trigger.soft();
        timeout(LIMIT, waiting).await.unwrap().unwrap();
        assert!(shutdown.is_soft() && !shutdown.is_hard());
        assert!(is_pending(shutdown.hard()).await);
        trigger.hard();
        timeout(LIMIT, shutdown.hard()).await.unwrap();
        trigger.soft();
        assert!(shutdown.is_hard(), "a step is never undone");
    }

    #[tokio::test]
    async fn hard_stop_is_also_a_soft_stop() {
        let (shutdown, trigger) = Shutdown::manual();
        trigger.hard();
        timeout(LIMIT, shutdown.soft()).await.unwrap();
        assert!(shutdown.is_soft());
    }

    #[tokio::test]
    async fn dropped_trigger_stops_nothing() {
        let (shutdown, trigger) = Shutdown::manual();
        drop(trigger);
        assert!(is_pending(shutdown.soft()).await);
        let soft = shutdown.soft();
        drop(shutdown);
        assert!(is_pending(soft).await);
    }

    /// Both signals and both ways to the hard step in one test, because a signal
    /// reaches all tests of the process.
    #[tokio::test]
    async fn signals_trigger_the_soft_and_then_the_hard_step() {
        let patient = Shutdown::on_signals(Duration::from_secs(3600)).unwrap();
        let hasty = Shutdown::on_signals(Duration::ZERO).unwrap();
        raise("TERM");
        timeout(LIMIT, patient.soft()).await.unwrap();
        timeout(LIMIT, hasty.hard()).await.unwrap();
        assert!(!patient.is_hard(), "the grace period is not over");
        raise("INT");
        timeout(LIMIT, patient.hard()).await.unwrap();
    }

    fn raise(signal: &str) {
        let own_id = process::id().to_string();
        let status = process::Command::new("kill")
            .args(["-s", signal, &own_id])
            .status()
            .unwrap();
        assert!(status.success());
    }
}
