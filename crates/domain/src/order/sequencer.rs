//! Sequencer: holds a lane's events and decides which may start.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::Duration,
};

use super::key::OrderKey;
use crate::id::EventId;

/// Events of one lane that are held and not yet settled.
///
/// The first event of each key is its head. Only heads start. A head stays until it is
/// [finished](Self::finish), also while it waits for its next attempt, so that later events of
/// its key wait as well. Times are durations since any fixed moment.
#[derive(Debug)]
pub struct Sequencer<T> {
    lines: HashMap<OrderKey, Line<T>>,
    /// Keys whose head may start, the longest-waiting first.
    ready: VecDeque<OrderKey>,
    /// Keys whose head may start at a later time.
    delayed: BTreeSet<(Duration, OrderKey)>,
    held: usize,
}

/// Events of one key, in order. Never empty.
#[derive(Debug)]
struct Line<T> {
    events: VecDeque<(EventId, T)>,
    head: Head,
    /// True once the head waited for a further attempt.
    has_failed: bool,
}

/// State of the first event of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Ready,
    Delayed(Duration),
    Running,
}

impl<T> Default for Sequencer<T> {
    fn default() -> Self {
        Self {
            lines: HashMap::new(),
            ready: VecDeque::new(),
            delayed: BTreeSet::new(),
            held: 0,
        }
    }
}

impl<T> Sequencer<T> {
    /// Adds an event behind the others of its key. If it is the head, it starts no earlier
    /// than `start`.
    pub fn add(&mut self, key: OrderKey, id: EventId, item: T, start: Option<Duration>) {
        self.held += 1;
        if let Some(line) = self.lines.get_mut(&key) {
            line.events.push_back((id, item));
            return;
        }
        let line = Line {
            events: VecDeque::from([(id, item)]),
            head: Head::Running,
            has_failed: false,
        };
        self.lines.insert(key.clone(), line);
        match start {
            None => self.set_ready(key),
            Some(at) => self.postpone(&key, at),
        }
    }

    /// Returns the item of a held event. The broker redelivers an event to an owner that still
    /// holds it after its nodes have lost each other.
    pub fn held_event(&mut self, key: &OrderKey, id: &EventId) -> Option<&mut T> {
        let events = &mut self.lines.get_mut(key)?.events;
        let found = events.iter_mut().find(|(held, _)| held == id);
        found.map(|(_, item)| item)
    }

    /// Marks the next head that may start as running. It was ready for the longest time.
    pub fn start(&mut self, now: Duration) -> Option<(OrderKey, &mut T)> {
        while let Some((at, _)) = self.delayed.first()
            && *at <= now
            && let Some((_, key)) = self.delayed.pop_first()
        {
            self.set_ready(key);
        }
        let key = self.ready.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        line.head = Head::Running;
        let (_, item) = line.events.front_mut()?;
        Some((key, item))
    }

    /// Returns the running head of a key.
    pub fn running(&mut self, key: &OrderKey) -> Option<&mut T> {
        let line = self.lines.get_mut(key)?;
        let head = line.events.front_mut().map(|(_, item)| item);
        head.filter(|_| line.head == Head::Running)
    }

    /// Returns the id of the head of a key.
    #[must_use]
    pub fn head_id(&self, key: &OrderKey) -> Option<&EventId> {
        let (id, _) = self.lines.get(key)?.events.front()?;
        Some(id)
    }

    /// Returns all held items, in no particular order.
    pub fn items(&self) -> impl Iterator<Item = &T> {
        let events = self.lines.values().flat_map(|line| &line.events);
        events.map(|(_, item)| item)
    }

    /// Returns the earliest time at which a delayed head may start.
    #[must_use]
    pub fn next_start(&self) -> Option<Duration> {
        self.delayed.first().map(|(at, _)| *at)
    }

    /// Schedules the next attempt of a running head, which has failed.
    pub fn delay(&mut self, key: &OrderKey, until: Duration) {
        if let Some(line) = self.lines.get_mut(key)
            && line.head == Head::Running
        {
            line.has_failed = true;
            self.postpone(key, until);
        }
    }

    /// Lets the delayed heads that are wanted start at once.
    pub fn hasten(&mut self, is_wanted: impl Fn(&EventId, &T) -> bool) {
        let head_of = |key| self.lines.get(key)?.events.front();
        let is_wanted = |key| head_of(key).is_some_and(|(id, item)| is_wanted(id, item));
        let wanted = self.delayed.iter().filter(|(_, key)| is_wanted(key));
        for delay in wanted.cloned().collect::<Vec<_>>() {
            self.delayed.remove(&delay);
            self.set_ready(delay.1);
        }
    }

    /// Removes a running head: it was delivered, superseded or dead-lettered. The next event
    /// of its key may start.
    pub fn finish(&mut self, key: &OrderKey) -> Option<T> {
        let line = self.lines.get_mut(key)?;
        if line.head != Head::Running {
            return None;
        }
        let (_, item) = line.events.pop_front()?;
        self.held -= 1;
        line.has_failed = false;
        if line.events.is_empty() {
            self.lines.remove(key);
        } else {
            self.set_ready(key.clone());
        }
        Some(item)
    }

    /// Returns true if more than `most` events wait behind the head of a key, and the head is
    /// stuck: it has failed, or its attempt takes long.
    #[must_use]
    pub fn is_stuck(&self, key: &OrderKey, most: usize, takes_long: impl Fn(&T) -> bool) -> bool {
        let line = self.lines.get(key);
        line.is_some_and(|line| line.is_stuck(most, takes_long))
    }

    /// Returns the keys that are [stuck](Self::is_stuck).
    pub fn stuck(
        &self,
        most: usize,
        takes_long: impl Fn(&T) -> bool,
    ) -> impl Iterator<Item = &OrderKey> {
        let stuck = move |(_, line): &(_, &Line<T>)| line.is_stuck(most, &takes_long);
        self.lines.iter().filter(stuck).map(|(key, _)| key)
    }

    /// Removes the events behind the head of a key, for another queue.
    pub fn take_waiting(&mut self, key: &OrderKey) -> VecDeque<(EventId, T)> {
        let line = self.lines.get_mut(key);
        let waiting = line.map(|line| line.events.split_off(line.events.len().min(1)));
        let waiting = waiting.unwrap_or_default();
        self.held -= waiting.len();
        waiting
    }

    /// Removes all events, for an owner that lost its lane.
    pub fn clear(&mut self) -> impl Iterator<Item = T> + use<T> {
        let lines = std::mem::take(self).lines.into_values();
        lines.flat_map(|line| line.events.into_iter().map(|(_, item)| item))
    }

    /// Returns the number of held events.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// Returns the number of keys whose head waits for its next attempt.
    #[must_use]
    pub fn blocked(&self) -> usize {
        self.delayed.len()
    }

    /// Returns the number of held events of a key, its head included.
    #[must_use]
    pub fn held_of(&self, key: &OrderKey) -> usize {
        self.lines.get(key).map_or(0, |line| line.events.len())
    }

    fn postpone(&mut self, key: &OrderKey, until: Duration) {
        if let Some(line) = self.lines.get_mut(key) {
            line.head = Head::Delayed(until);
            self.delayed.insert((until, key.clone()));
        }
    }

    fn set_ready(&mut self, key: OrderKey) {
        if let Some(line) = self.lines.get_mut(&key) {
            line.head = Head::Ready;
            self.ready.push_back(key);
        }
    }
}

impl<T> Line<T> {
    fn is_stuck(&self, most: usize, takes_long: impl Fn(&T) -> bool) -> bool {
        let takes_long = || {
            self.events
                .front()
                .is_some_and(|(_, head)| takes_long(head))
        };
        self.events.len() > most + 1 && (self.has_failed || takes_long())
    }
}

#[cfg(test)]
mod tests;
