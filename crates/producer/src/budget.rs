//! Memory budget for the bodies and answers of all requests; above it, requests
//! are answered 503.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Remaining memory, shared by all clones and parts.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: Arc<Semaphore>,
    /// What is left of this part, if it is one.
    left_in_part: Option<Arc<Semaphore>>,
    total: usize,
}

/// Memory that is reserved in a budget, released on drop.
#[derive(Debug)]
#[must_use = "dropping it releases the memory"]
pub(crate) struct Reservation {
    bytes: OwnedSemaphorePermit,
    in_part: Option<OwnedSemaphorePermit>,
}

/// Error for an exhausted budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory budget for bodies is exhausted")]
pub(crate) struct Exhausted;

/// Error for a reservation that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// Other requests hold the memory.
    Now(Exhausted),
    /// The whole budget, in bytes, is too small.
    Ever { needed: usize, total: usize },
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: Arc::new(Semaphore::new(bytes)),
            left_in_part: None,
            total: bytes,
        }
    }

    /// Returns a part of the budget for one purpose: three quarters, so that it leaves the rest to
    /// all others.
    pub(crate) fn part(&self) -> Self {
        let bytes = self.total - self.total / 4;
        Self {
            left: Arc::clone(&self.left),
            left_in_part: Some(Arc::new(Semaphore::new(bytes))),
            total: bytes,
        }
    }

    /// Reserves `bytes`, or nothing, and distinguishes the two reasons.
    pub(crate) fn reserve_large(&self, needed: usize) -> Result<Reservation, NoRoom> {
        if needed > self.total {
            let total = self.total;
            return Err(NoRoom::Ever { needed, total });
        }
        self.reserve(needed).map_err(NoRoom::Now)
    }

    /// Reserves `bytes`, or nothing.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation, Exhausted> {
        let in_part = self.left_in_part.as_ref().map(|left| acquire(left, bytes));
        Ok(Reservation {
            in_part: in_part.transpose()?,
            bytes: acquire(&self.left, bytes)?,
        })
    }
}

fn acquire(left: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Exhausted> {
    let bytes = u32::try_from(bytes).map_err(|_| Exhausted)?;
    let permit = Arc::clone(left).try_acquire_many_owned(bytes);
    permit.map_err(|_| Exhausted)
}

impl Reservation {
    /// Reserves `bytes` more, or nothing.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let in_part = self.in_part.as_ref();
        let in_part = in_part.map(|permit| acquire(permit.semaphore(), bytes));
        let more = Self {
            in_part: in_part.transpose()?,
            bytes: acquire(self.bytes.semaphore(), bytes)?,
        };
        self.merge(more);
        Ok(())
    }

    /// Adds a reservation of the same budget or part.
    pub(crate) fn merge(&mut self, other: Self) {
        self.bytes.merge(other.bytes);
        match (&mut self.in_part, other.in_part) {
            (Some(in_part), Some(other)) => in_part.merge(other),
            (in_part, other) => *in_part = in_part.take().or(other),
        }
    }

    /// Returns bytes that release the reservation with their last reference.
    pub(crate) fn attach(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(ReservedBytes {
            bytes,
            _reservation: self,
        })
    }
}

struct ReservedBytes {
    bytes: Vec<u8>,
    _reservation: Reservation,
}

impl AsRef<[u8]> for ReservedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_never_exceed_the_budget_and_are_released() {
        let budget = Budget::new(100);
        let mut first = budget.reserve(60).unwrap();
        assert_eq!(budget.reserve(41).unwrap_err(), Exhausted);
        first.grow(30).unwrap();
        assert_eq!(first.grow(11).unwrap_err(), Exhausted);
        first.merge(budget.reserve(10).unwrap());
        assert_eq!(budget.reserve(1).unwrap_err(), Exhausted);
        drop(first);
        drop(budget.reserve(100).unwrap());
        assert_eq!(budget.reserve(usize::MAX).unwrap_err(), Exhausted);
    }

    #[test]
    fn large_answer_that_never_fits_is_distinguished_from_one_that_does_not_fit_now() {
        let budget = Budget::new(100);
        let _held = budget.reserve(60).unwrap();
        assert_eq!(
            budget.reserve_large(41).unwrap_err(),
            NoRoom::Now(Exhausted)
        );
        let (needed, total) = (101, 100);
        let never = NoRoom::Ever { needed, total };
        assert_eq!(budget.reserve_large(needed).unwrap_err(), never);
        assert!(budget.reserve_large(40).is_ok());
    }

    #[test]
    fn part_leaves_a_quarter_of_the_budget_to_others() {
        let budget = Budget::new(100);
        let part = budget.part();
        let mut held = part.reserve(40).unwrap();
        held.grow(10).unwrap();
        held.merge(part.reserve(25).unwrap());
        assert_eq!(held.grow(1).unwrap_err(), Exhausted);
        assert_eq!(part.reserve(1).unwrap_err(), Exhausted);
        drop(budget.reserve(25).unwrap());
        let bytes = held.attach(vec![7; 75]);
        assert_eq!(part.reserve(1).unwrap_err(), Exhausted);
        drop(bytes);
        drop(part.reserve(75).unwrap());
        // What does not fit into the budget takes nothing of the part.
        let others = budget.reserve(90).unwrap();
        assert_eq!(part.reserve(11).unwrap_err(), Exhausted);
        drop(others);
        assert!(part.reserve(75).is_ok());
        assert!(matches!(part.reserve_large(76), Err(NoRoom::Ever { .. })));
        // Parts are bounded one by one.
        let other = budget.part();
        let _held = other.reserve(75).unwrap();
        assert!(part.reserve(25).is_ok());
    }

    #[test]
    fn bytes_keep_their_reservation_until_the_last_reference_is_dropped() {
        let budget = Budget::new(10);
        let bytes = budget.reserve(10).unwrap().attach(vec![7; 10]);
        let slice = bytes.slice(3..5);
        drop(bytes);
        assert_eq!(budget.reserve(1).unwrap_err(), Exhausted);
        assert_eq!(slice, [7, 7].as_slice());
        drop(slice);
        assert!(budget.reserve(10).is_ok());
    }
}
