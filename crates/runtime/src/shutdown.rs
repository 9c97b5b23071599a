//! When and how a program stops: in two steps.
//!
//! *Soft*: take no new work and finish what is under way. *Hard*: leave at
//! once; what is not acknowledged stays with the broker, which hands it out
//! again. The first SIGTERM or SIGINT is the soft step; a second one, or the
//! end of the grace period, is the hard step.

use std::{future::Future, io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Tells every part of a program to stop. Clones share the state.
///
/// The sender lives in here, so the channel never closes and a step that was
/// not triggered stays pending for good.
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<Step>>);

/// Stops by hand what a [`Shutdown`] of [`Shutdown::manual`] governs.
#[derive(Debug, Clone)]
pub struct Trigger(Shutdown);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Running,
    Soft,
    Hard,
}

impl Shutdown {
    /// Follows the process's SIGTERM and SIGINT. From here on neither ends the
    /// process by itself. `grace` is the longest time between the soft and the
    /// hard step.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn on_signals(grace: Duration) -> io::Result<Self> {
        let mut signals = StopSignals::new()?;
        let shutdown = Self::new();
        let followed = shutdown.clone();
        tokio::spawn(async move {
            let name = signals.next().await;
            tracing::info!(
                signal = name,
                grace_s = grace.as_secs_f64(),
                "stopping: finishing what is under way"
            );
            followed.reach(Step::Soft);
            tokio::select! {
                name = signals.next() => tracing::warn!(signal = name, "stopping at once: a second signal"),
                () = tokio::time::sleep(grace) => tracing::warn!("stopping at once: the grace period is over"),
            }
            followed.reach(Step::Hard);
        });
        Ok(shutdown)
    }

    /// A stop that only the trigger sets off, for tests.
    #[must_use]
    pub fn manual() -> (Self, Trigger) {
        let shutdown = Self::new();
        (shutdown.clone(), Trigger(shutdown))
    }

    /// Resolves once the program should take no new work. A hard stop is a
    /// soft one too.
    pub fn soft(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.reached(Step::Soft)
    }

    /// Resolves once the program should leave at once.
    pub fn hard(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.reached(Step::Hard)
    }

    /// Whether the program should take no new work.
    #[must_use]
    pub fn is_soft(&self) -> bool {
        *self.0.borrow() >= Step::Soft
    }

    /// Whether the program should leave at once.
    #[must_use]
    pub fn is_hard(&self) -> bool {
        *self.0.borrow() >= Step::Hard
    }

    fn new() -> Self {
        Self(Arc::new(watch::Sender::new(Step::Running)))
    }

    /// Steps only ever go forward.
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
            // The sender is held here, so this cannot end by a closed channel.
            let _ = shutdown
                .0
                .subscribe()
                .wait_for(|current| *current >= step)
                .await;
        }
    }
}

impl Trigger {
    /// The soft step.
    pub fn soft(&self) {
        self.0.reach(Step::Soft);
    }

    /// The hard step, and the soft one where it was still to come.
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
    async fn the_soft_step_comes_before_the_hard_one() {
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
        assert!(shutdown.is_hard(), "a step is never taken back");
    }

    #[tokio::test]
    async fn a_hard_stop_is_a_soft_one_too() {
        let (shutdown, trigger) = Shutdown::manual();
        trigger.hard();
        timeout(LIMIT, shutdown.soft()).await.unwrap();
        assert!(shutdown.is_soft());
    }

    #[tokio::test]
    async fn a_trigger_that_is_dropped_stops_nothing() {
        let (shutdown, trigger) = Shutdown::manual();
        drop(trigger);
        assert!(is_pending(shutdown.soft()).await);
        let soft = shutdown.soft();
        drop(shutdown);
        assert!(is_pending(soft).await);
    }

    /// Both kinds of signal and both ways to the hard step in one test, because
    /// a signal reaches everybody in the process.
    #[tokio::test]
    async fn signals_stop_softly_and_then_hard() {
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
