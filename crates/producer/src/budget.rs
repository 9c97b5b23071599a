//! How much memory may bodies and answers take? So much, all together, and not
//! a byte more: whoever needs it when it is used up is told to come back.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What all requests together may take, in bytes. The largest single event
/// takes its body (15 MiB at most) once as it came and twice as it is published.
pub(crate) const BUDGET_BYTES: usize = 64 << 20;

/// The memory that is left. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Semaphore>);

/// A part of the budget, given back on drop.
#[derive(Debug)]
#[must_use = "it is given back at once unless it is kept"]
pub(crate) struct Hold(OwnedSemaphorePermit);

/// The budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory for bodies is used up")]
pub(crate) struct Exhausted;

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes)))
    }

    /// Takes `bytes`, or nothing.
    pub(crate) fn hold(&self, bytes: usize) -> Result<Hold, Exhausted> {
        let bytes = u32::try_from(bytes).map_err(|_| Exhausted)?;
        let permit = Arc::clone(&self.0).try_acquire_many_owned(bytes);
        permit.map(Hold).map_err(|_| Exhausted)
    }
}

impl Hold {
    /// Takes `bytes` more, or nothing.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let more = Budget(Arc::clone(self.0.semaphore())).hold(bytes)?;
        self.join(more);
        Ok(())
    }

    /// From here on both are one.
    pub(crate) fn join(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Bytes that give their part of the budget back when the last reference
    /// to them is gone, however long that takes.
    pub(crate) fn keep(self, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Kept { bytes, _hold: self })
    }
}

struct Kept {
    bytes: Vec<u8>,
    _hold: Hold,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_there_is_and_all_of_it_comes_back() {
        let budget = Budget::new(100);
        let mut first = budget.hold(60).unwrap();
        assert_eq!(budget.hold(41).unwrap_err(), Exhausted);
        first.grow(30).unwrap();
        assert_eq!(first.grow(11).unwrap_err(), Exhausted);
        first.join(budget.hold(10).unwrap());
        assert_eq!(budget.hold(1).unwrap_err(), Exhausted);
        drop(first);
        drop(budget.hold(100).unwrap());
        assert_eq!(budget.hold(usize::MAX).unwrap_err(), Exhausted);
    }

    #[test]
    fn bytes_hold_their_part_until_the_last_reference_is_gone() {
        let budget = Budget::new(10);
        let bytes = budget.hold(10).unwrap().keep(vec![7; 10]);
        let slice = bytes.slice(3..5);
        drop(bytes);
        assert_eq!(budget.hold(1).unwrap_err(), Exhausted);
        assert_eq!(slice, [7, 7].as_slice());
        drop(slice);
        assert!(budget.hold(10).is_ok());
    }
}
