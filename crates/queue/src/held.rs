//! Bytes of the messages that a process holds: received and not settled.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Notify;
use wahook_domain::prefetch;

/// Byte budget shared by all subscriptions of a process. Clones share the count.
#[derive(Debug, Clone)]
pub struct HeldBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: u64,
    total: AtomicU64,
    released: Notify,
}

impl HeldBudget {
    /// Creates a budget of which nothing is used.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self(Arc::new(Shared {
            budget,
            total: AtomicU64::new(0),
            released: Notify::new(),
        }))
    }

    /// Creates a budget that is never used up.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Opens the account of a subscription.
    pub(crate) fn account(&self) -> HeldAccount {
        HeldAccount(Arc::new(Account {
            shared: Arc::clone(&self.0),
            own: AtomicU64::new(0),
        }))
    }
}

/// Share of one subscription in the budget. Clones share the count.
#[derive(Debug, Clone)]
pub struct HeldAccount(Arc<Account>);

#[derive(Debug)]
struct Account {
    shared: Arc<Shared>,
    own: AtomicU64,
}

/// Guard of one message's bytes.
#[derive(Debug)]
pub struct HeldBytes {
    account: HeldAccount,
    bytes: u64,
}

impl HeldAccount {
    /// Counts a message until the guard is dropped.
    #[must_use]
    pub fn hold(&self, bytes: usize) -> HeldBytes {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.0.own.fetch_add(bytes, Ordering::Relaxed);
        self.0.shared.total.fetch_add(bytes, Ordering::Relaxed);
        HeldBytes {
            account: self.clone(),
            bytes,
        }
    }

    /// Returns true if the subscription may receive another message.
    #[must_use]
    pub fn has_room(&self) -> bool {
        prefetch::has_room(self.held(), self.room())
    }

    /// Returns the bytes that the subscription holds.
    pub(crate) fn held(&self) -> u64 {
        self.0.own.load(Ordering::Relaxed)
    }

    /// Returns the bytes that the subscription may hold.
    pub(crate) fn room(&self) -> u64 {
        let shared = &self.0.shared;
        let total = shared.total.load(Ordering::Relaxed);
        prefetch::room(shared.budget, total.saturating_sub(self.held()))
    }

    /// Waits until `condition` is true of the bytes held and the room.
    pub(crate) async fn until(&self, condition: impl Fn(u64, u64) -> bool) {
        loop {
            // Registered before the check, so that no release is missed.
            let released = self.0.shared.released.notified();
            if condition(self.held(), self.room()) {
                return;
            }
            released.await;
        }
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        let account = &self.account.0;
        account.own.fetch_sub(self.bytes, Ordering::Relaxed);
        account
            .shared
            .total
            .fetch_sub(self.bytes, Ordering::Relaxed);
        account.shared.released.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn released_bytes_wake_the_account_that_waits_for_them() {
        let budget = HeldBudget::new(1_000);
        let (one, two) = (budget.account(), budget.account());
        let held = one.hold(900);
        assert!(!one.has_room());
        assert_eq!((two.held(), two.room()), (0, 50));
        let waiting = tokio::spawn({
            let two = two.clone();
            async move { two.until(|held, room| held == 0 && room == 500).await }
        });
        tokio::task::yield_now().await;
        drop(held);
        waiting.await.unwrap();
        assert!(one.has_room());
    }
}
