//! State of a supervised connection.

/// State of a connection, for readiness and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkState {
    /// Connections made so far; 1 is the first, each further one a reconnect.
    pub connections: u64,
    /// True while the connection is declared and in use.
    pub up: bool,
    /// The broker's reason for blocking publishers (an alarm), while it does.
    pub blocked: Option<String>,
    /// Message of the last error.
    pub last_error: Option<String>,
}

impl LinkState {
    /// Records a new connection.
    pub fn connected(&mut self) {
        self.connections += 1;
        self.up = true;
        self.blocked = None;
        self.last_error = None;
    }

    /// Records the loss of the connection and its cause.
    pub fn lost(&mut self, error: String) {
        self.up = false;
        self.blocked = None;
        self.last_error = Some(error);
    }
}
