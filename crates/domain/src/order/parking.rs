//! Parking: queues next to a lane for the events of keys that are blocked for long.
//!
//! A lane's owner holds a bounded number of messages. So that the events behind a failing
//! head do not fill it, they are moved to a slot, a queue of its own, and the later ones
//! of their key after them. The head stays in the lane. The owner reads the slot as well.
//! It proves that a slot is empty by a barrier: a marker that it publishes into the slot
//! and receives again.
//!
//! A new owner reads the keys of a slot from its messages, and delivers nothing before:
//! events of these keys in the lane follow the parked ones, except the head, whose id each
//! parked event names.

use std::{collections::HashMap, mem};

use super::key::OrderKey;
use crate::id::EventId;

/// Slots of an owned lane, and the keys that are parked in them.
#[derive(Debug, Default)]
pub struct Parking {
    slots: Vec<Slot>,
    places: HashMap<OrderKey, Place>,
    /// Keys that were found in slots, while a former owner's events are read.
    found: Vec<(usize, OrderKey)>,
    /// Slots with events that are not in memory.
    filled: Vec<usize>,
}

/// Place of a parked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Number of the slot.
    pub slot: usize,
    /// Events of the lane that precede the parked ones: the head at which the key was parked,
    /// and those that strays name.
    heads: Vec<EventId>,
}

impl Place {
    /// Returns the head at which the key was parked.
    #[must_use]
    pub fn behind(&self) -> Option<&EventId> {
        self.heads.last()
    }

    /// Returns true if an event of the lane precedes the parked ones.
    #[must_use]
    pub fn follows(&self, event: &EventId) -> bool {
        self.heads.contains(event)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// Empty, and not read.
    Free,
    /// Read to find its keys, up to a barrier.
    Unknown,
    /// Read, with the barrier in it.
    Used(Barrier),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barrier {
    None,
    /// It proves nothing, because of events in front of it or behind it.
    Void,
    /// It proves that the slot is empty, unless an event is received before it.
    Valid,
}

impl Parking {
    /// Creates the state of an owner that has read no slot.
    #[must_use]
    pub fn new(slots: usize) -> Self {
        Self {
            slots: vec![Slot::Free; slots],
            places: HashMap::new(),
            found: Vec::new(),
            filled: Vec::new(),
        }
    }

    /// Begins to read a slot that may have events of the former owner. The caller publishes
    /// a barrier into it.
    pub fn explore(&mut self, slot: usize) {
        self.set(slot, Slot::Unknown);
    }

    /// Begins to read a slot with events that are in the lane, too: a former owner that was
    /// cut off has published them late. The caller publishes a barrier into it.
    pub fn read_strays(&mut self, slot: usize) {
        self.set(slot, Slot::Used(Barrier::Void));
    }

    /// Returns true while the keys of a slot are unknown: no event may start.
    #[must_use]
    pub fn is_exploring(&self) -> bool {
        self.slots.contains(&Slot::Unknown)
    }

    /// Notes an event of a slot.
    pub fn found(&mut self, slot: usize, key: &OrderKey, behind: &EventId) {
        if self.slots.get(slot) != Some(&Slot::Unknown) {
            return;
        }
        if !self
            .found
            .iter()
            .any(|(at, found)| *at == slot && found == key)
        {
            self.found.push((slot, key.clone()));
        }
        let place = self.places.entry(key.clone()).or_insert(Place {
            slot,
            heads: Vec::new(),
        });
        if !place.follows(behind) {
            place.heads.push(behind.clone());
        }
    }

    /// Ends the search for the keys of a slot, as many events of which are held as can be.
    pub fn filled(&mut self, slot: usize) {
        if self.slots.get(slot) == Some(&Slot::Unknown) {
            self.filled.push(slot);
            self.set(slot, Slot::Used(Barrier::Void));
        }
    }

    /// Ends the search for the keys of all slots, once the heads in the lane are known.
    ///
    /// Because of strays, a key can be in several slots. Its further events must follow those
    /// that are not in memory. If all are, the key is not parked.
    pub fn explored(&mut self) {
        let (found, filled) = (mem::take(&mut self.found), mem::take(&mut self.filled));
        for (slot, key) in &found {
            let is_elsewhere = |(other, k): &&(usize, OrderKey)| k == key && other != slot;
            let mut others = found.iter().filter(is_elsewhere);
            if filled.contains(slot) {
                if let Some(place) = self.places.get_mut(key) {
                    place.slot = *slot;
                }
            } else if others.clone().next().is_some()
                && !others.any(|(other, _)| filled.contains(other))
            {
                self.places.remove(key);
            }
        }
    }

    /// Returns the place of a parked key.
    #[must_use]
    pub fn place(&self, key: &OrderKey) -> Option<&Place> {
        self.places.get(key)
    }

    /// Parks a key whose head is `behind`, and returns its slot; `None` if none is free.
    pub fn park(&mut self, key: OrderKey, behind: EventId) -> Option<usize> {
        let slot = self.slots.iter().position(|slot| *slot == Slot::Free)?;
        self.set(slot, Slot::Used(Barrier::None));
        let heads = vec![behind];
        self.places.insert(key, Place { slot, heads });
        Some(slot)
    }

    /// Notes that an event is moved to a slot.
    pub fn moved(&mut self, slot: usize) {
        if self.slots.get(slot) == Some(&Slot::Used(Barrier::Valid)) {
            self.set(slot, Slot::Used(Barrier::Void));
        }
    }

    /// Returns a slot for which a barrier must be published now: no event of it is held, and
    /// none is on its way.
    pub fn next_barrier(&mut self, is_idle: impl Fn(usize) -> bool) -> Option<usize> {
        let is_due =
            |slot: &(usize, &Slot)| *slot.1 == Slot::Used(Barrier::None) && is_idle(slot.0);
        let (slot, _) = self.slots.iter().enumerate().find(is_due)?;
        self.set(slot, Slot::Used(Barrier::Valid));
        Some(slot)
    }

    /// Notes that the barrier of a slot was received. Returns true if the slot is empty: its
    /// keys are back in the lane, and it is not read any more.
    pub fn barrier_received(&mut self, slot: usize, is_idle: bool) -> bool {
        let is_empty = is_idle && self.slots.get(slot) == Some(&Slot::Used(Barrier::Valid));
        if is_empty {
            self.set(slot, Slot::Free);
            self.places.retain(|_, place| place.slot != slot);
        } else {
            self.set(slot, Slot::Used(Barrier::None));
        }
        is_empty
    }

    /// Returns the number of parked keys.
    #[must_use]
    pub fn parked(&self) -> usize {
        self.places.len()
    }

    fn set(&mut self, slot: usize, state: Slot) {
        if let Some(slot) = self.slots.get_mut(slot) {
            *slot = state;
        }
    }
}

#[cfg(test)]
mod tests;
