//! Faults of the data file: it can't be written, or it is damaged.

use super::Engine;

impl Engine {
    /// Logs when the data file becomes unwritable or writable, and updates the link state.
    pub(super) fn record_write_error(&mut self, error: Option<rusqlite::Error>) {
        if let Some(error) = &error
            && self.damage.observe(error)
        {
            self.publish_fault();
        }
        let write_error = error.map(|error| error.to_string());
        if write_error.is_some() == self.write_error.is_some() {
            return;
        }
        match &write_error {
            // Logged, and permanent.
            _ if self.damage.reason().is_some() => {}
            Some(reason) => {
                tracing::error!(reason, "data file not writable, rejecting events");
            }
            None => tracing::info!("data file writable again, accepting events"),
        }
        self.write_error = write_error;
        self.publish_fault();
    }

    /// Logs a read error; after damage of the file, rejects events from now on.
    pub(super) fn record_read_error(&mut self, error: &rusqlite::Error) {
        if self.damage.observe(error) {
            self.publish_fault();
        } else if self.damage.reason().is_none() {
            tracing::warn!(%error, "messages could not be read from the data file");
        }
    }

    /// Returns the reason for rejecting events, if there is one.
    pub(super) fn fault(&self) -> Option<&str> {
        self.damage.reason().or(self.write_error.as_deref())
    }

    fn publish_fault(&self) {
        let fault = self.fault().map(str::to_owned);
        self.link.send_modify(|link| link.blocked = fault);
    }
}
