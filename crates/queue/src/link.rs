//! Whether a supervised connection is usable, for readiness and metrics.

use tokio::sync::watch;

/// The state of one supervised connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkState {
    /// How many connections have been made so far; 1 is the first, each more
    /// is a reconnect.
    pub connections: u64,
    /// Connected, declared and in use.
    pub up: bool,
    /// The broker's reason for blocking publishers (an alarm), while it does.
    pub blocked: Option<String>,
    /// What went wrong last, in words.
    pub last_error: Option<String>,
}

impl LinkState {
    /// A connection is in use.
    pub fn connected(&mut self) {
        self.connections += 1;
        self.up = true;
        self.blocked = None;
        self.last_error = None;
    }

    /// It is gone, and why.
    pub fn lost(&mut self, error: String) {
        self.up = false;
        self.blocked = None;
        self.last_error = Some(error);
    }
}

/// Calls `observe` with the state now and after every change, until the
/// connection's supervisor ends.
pub async fn follow(mut link: watch::Receiver<LinkState>, mut observe: impl FnMut(&LinkState)) {
    loop {
        observe(&link.borrow_and_update());
        if link.changed().await.is_err() {
            return;
        }
    }
}
