//! Readiness check of an endpoint.

use std::sync::{Mutex, PoisonError};

use wahook_runtime::CheckHandle;

/// Readiness check of an endpoint. While an operator has paused it, the check passes with a
/// note, and shows its own state again afterwards.
pub(super) struct EndpointCheck {
    check: CheckHandle,
    shown: Mutex<Shown>,
}

struct Shown {
    own: Own,
    operator_note: Option<String>,
}

/// State of the endpoint, apart from the pause of an operator.
enum Own {
    Ok,
    Noted(String),
    Failed(String),
}

impl EndpointCheck {
    /// Creates a check that passes.
    pub(super) fn new(check: CheckHandle) -> Self {
        let shown = Shown {
            own: Own::Ok,
            operator_note: None,
        };
        check.set_ok();
        Self {
            check,
            shown: Mutex::new(shown),
        }
    }

    pub(super) fn set_ok(&self) {
        self.set(|shown| shown.own = Own::Ok);
    }

    pub(super) fn set_noted(&self, note: impl Into<String>) {
        self.set(|shown| shown.own = Own::Noted(note.into()));
    }

    pub(super) fn set_failed(&self, reason: impl Into<String>) {
        self.set(|shown| shown.own = Own::Failed(reason.into()));
    }

    /// Sets the note of an operator's pause; `None` without one.
    pub(super) fn set_operator_note(&self, note: Option<String>) {
        self.set(|shown| shown.operator_note = note);
    }

    fn set(&self, change: impl FnOnce(&mut Shown)) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shown);
        match (&shown.operator_note, &shown.own) {
            (Some(note), _) | (None, Own::Noted(note)) => self.check.set_noted(note),
            (None, Own::Ok) => self.check.set_ok(),
            (None, Own::Failed(reason)) => self.check.set_failed(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use wahook_runtime::Readiness;

    use super::*;

    #[test]
    fn operator_note_hides_the_own_state_until_it_is_removed() {
        let readiness = Readiness::new();
        let check = EndpointCheck::new(readiness.check("endpoint"));
        let detail = || readiness.report().checks["endpoint"].detail.clone();
        check.set_operator_note(Some("paused by an operator".to_owned()));
        check.set_failed("no queue");
        assert_eq!(detail(), "paused by an operator");
        assert!(readiness.report().ready);
        check.set_operator_note(None);
        assert_eq!(detail(), "no queue");
        assert!(!readiness.report().ready);
        check.set_noted("disabled");
        assert_eq!(detail(), "disabled");
        check.set_ok();
        assert!(readiness.report().ready && detail().is_empty());
    }
}
