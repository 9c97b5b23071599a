//! Arrivals of events at the receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::time::sleep;
use wahook_tests::chats::event_of;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::receiver::{Answer, Post, Receiver};

use super::load::Event;

/// Interval between lines about the progress.
const SHOWN_EVERY: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// Arrivals so far. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// Times at which each event arrived, repeats included.
    times: BTreeMap<Event, Vec<Instant>>,
    /// Events that were answered 200.
    taken: BTreeSet<Event>,
}

impl Arrivals {
    /// Starts a receiver whose posts are added. It answers 500 to those that `fails`, and each
    /// one after this time.
    pub(super) async fn receiver(
        &self,
        fails: impl Fn(&Post) -> bool + Send + Sync + 'static,
        after: impl Fn(Event) -> Duration + Send + Sync + 'static,
    ) -> Receiver {
        let arrivals = self.clone();
        let answer = move |post: &Post| {
            let (event, has_failed) = (event_of(post), fails(post));
            arrivals.add(event, post.arrived, has_failed);
            Answer::status(if has_failed { 500 } else { 200 }).after(after(event))
        };
        Receiver::answering(answer).await
    }

    /// Returns the number of posts of an event.
    pub(super) fn count(&self, event: Event) -> usize {
        self.state().times.get(&event).map_or(0, Vec::len)
    }

    /// Returns the number of events that were answered 200.
    pub(super) fn taken(&self) -> usize {
        self.state().taken.len()
    }

    /// Waits until so many events are answered 200, as long as others are.
    pub(super) async fn until_taken(&self, events: usize) -> anyhow::Result<()> {
        let mut last = (0, Instant::now());
        let mut shown = Instant::now();
        loop {
            let taken = self.taken();
            if taken >= events {
                return Ok(());
            }
            if taken > last.0 {
                last = (taken, Instant::now());
            }
            ensure!(
                last.1.elapsed() < AT_LAST,
                "{taken} of {events} events delivered, and no other within {AT_LAST:?}"
            );
            if shown.elapsed() >= SHOWN_EVERY {
                shown = Instant::now();
                println!("    {taken} of {events} events delivered");
            }
            sleep(PAUSE).await;
        }
    }

    /// Returns the first arrival of an event.
    pub(super) fn first(&self, event: Event) -> Option<Instant> {
        self.state().times.get(&event)?.first().copied()
    }

    /// Returns the last arrival of an event.
    pub(super) fn last(&self, event: Event) -> Option<Instant> {
        self.state().times.get(&event)?.last().copied()
    }

    /// Returns the first arrival of an event after this moment.
    pub(super) fn after(&self, event: Event, moment: Instant) -> Option<Instant> {
        let state = self.state();
        let mut times = state.times.get(&event)?.iter().copied();
        times.find(|time| *time > moment)
    }

    fn add(&self, event: Event, at: Instant, has_failed: bool) {
        let mut state = self.state();
        state.times.entry(event).or_default().push(at);
        if !has_failed {
            state.taken.insert(event);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
