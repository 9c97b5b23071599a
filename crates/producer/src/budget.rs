//! Memory budget for the bodies and answers of all requests; above it, requests
//! are answered 503.

use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Remaining memory, shared by all clones.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    left: Arc<Semaphore>,
    /// Part of `left` that answers may use: three quarters of the budget. Answers that slow
    /// clients do not read leave the rest to requests.
    left_for_answers: Arc<Semaphore>,
    total: usize,
}

/// Part of the budget, released on drop.
#[derive(Debug)]
#[must_use = "dropping it releases the memory"]
pub(crate) struct Reservation(OwnedSemaphorePermit);

/// Part of the budget for an answer, released on drop.
#[derive(Debug)]
#[must_use = "dropping it releases the memory"]
pub(crate) struct AnswerReservation {
    bytes: Reservation,
    of_answers: Reservation,
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
            left_for_answers: Arc::new(Semaphore::new(bytes - bytes / 4)),
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
        reserve(&self.left, bytes)
    }

    /// Reserves `bytes` for an answer, or nothing. A quarter of the budget is never available
    /// to answers.
    pub(crate) fn reserve_answer(&self, bytes: usize) -> Result<AnswerReservation, Exhausted> {
        Ok(AnswerReservation {
            of_answers: reserve(&self.left_for_answers, bytes)?,
            bytes: reserve(&self.left, bytes)?,
        })
    }
}

fn reserve(left: &Arc<Semaphore>, bytes: usize) -> Result<Reservation, Exhausted> {
    let bytes = u32::try_from(bytes).map_err(|_| Exhausted)?;
    let permit = Arc::clone(left).try_acquire_many_owned(bytes);
    permit.map(Reservation).map_err(|_| Exhausted)
}

impl Reservation {
    /// Reserves `bytes` more, or nothing.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Exhausted> {
        let more = reserve(self.0.semaphore(), bytes)?;
        self.merge(more);
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Returns bytes that release the reservation with their last reference.
    pub(crate) fn attach(self, bytes: Vec<u8>) -> Bytes {
        attach(bytes, self)
    }
}

impl AnswerReservation {
    pub(crate) fn merge(&mut self, other: Self) {
        self.bytes.merge(other.bytes);
        self.of_answers.merge(other.of_answers);
    }

    /// Returns bytes that release the reservation with their last reference.
    pub(crate) fn attach(self, bytes: Vec<u8>) -> Bytes {
        attach(bytes, self)
    }
}

fn attach<R: Send + 'static>(bytes: Vec<u8>, reservation: R) -> Bytes {
    Bytes::from_owner(ReservedBytes {
        bytes,
        _reservation: reservation,
    })
}

struct ReservedBytes<R> {
    bytes: Vec<u8>,
    _reservation: R,
}

impl<R> AsRef<[u8]> for ReservedBytes<R> {
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
    fn answers_leave_a_quarter_of_the_budget_to_requests() {
        let budget = Budget::new(100);
        let mut held = budget.reserve_answer(50).unwrap();
        held.merge(budget.reserve_answer(25).unwrap());
        assert_eq!(budget.reserve_answer(1).unwrap_err(), Exhausted);
        drop(budget.reserve(25).unwrap());
        let answer = held.attach(vec![7; 75]);
        assert_eq!(budget.reserve_answer(1).unwrap_err(), Exhausted);
        drop(answer);
        drop(budget.reserve_answer(75).unwrap());
        // An answer that does not fit for the sake of requests takes nothing.
        let request = budget.reserve(90).unwrap();
        assert_eq!(budget.reserve_answer(11).unwrap_err(), Exhausted);
        drop(request);
        assert!(budget.reserve_answer(75).is_ok());
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
