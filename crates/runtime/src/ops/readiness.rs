//! Readiness checks of a program.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Checks of one program. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

/// Handle that sets one named check. Clones set the same check.
#[derive(Debug, Clone)]
pub struct CheckHandle {
    name: String,
    readiness: Readiness,
}

/// Response of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessReport {
    /// True if no check fails and the program is not stopping.
    pub ready: bool,
    /// All checks by name.
    pub checks: BTreeMap<String, CheckReport>,
}

/// State of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// True if the check passes.
    pub ok: bool,
    /// Reason of a failure; usually empty while the check passes.
    pub detail: String,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    checks: BTreeMap<String, CheckReport>,
}

impl Readiness {
    /// Creates an empty set of checks, which is ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which fails until it is first set. An existing name returns
    /// another handle to the same check.
    #[must_use]
    pub fn check(&self, name: &str) -> CheckHandle {
        let name = name.to_owned();
        self.state()
            .checks
            .entry(name.clone())
            .or_insert_with(|| CheckReport {
                ok: false,
                detail: "not checked yet".to_owned(),
            });
        CheckHandle {
            name,
            readiness: self.clone(),
        }
    }

    /// Makes the program not ready, permanently: it accepts no new work.
    pub fn stopping(&self) {
        self.state().stopping = true;
    }

    /// Returns the current state of all checks.
    #[must_use]
    pub fn report(&self) -> ReadinessReport {
        let state = self.state();
        let mut checks = state.checks.clone();
        if state.stopping {
            let detail = "the program is stopping".to_owned();
            checks.insert("running".to_owned(), CheckReport { ok: false, detail });
        }
        ReadinessReport {
            ready: checks.values().all(|check| check.ok),
            checks,
        }
    }

    /// Ignores a poisoned lock: a panic elsewhere leaves every field consistent.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckHandle {
    /// Marks the check as passed.
    pub fn set_ok(&self) {
        self.set(CheckReport {
            ok: true,
            detail: String::new(),
        });
    }

    /// Marks the check as passed, with a note.
    pub fn set_noted(&self, detail: impl Into<String>) {
        self.set(CheckReport {
            ok: true,
            detail: detail.into(),
        });
    }

    /// Marks the check as failed; `/readyz` shows `detail`, so it must contain no secret.
    pub fn set_failed(&self, detail: impl Into<String>) {
        self.set(CheckReport {
            ok: false,
            detail: detail.into(),
        });
    }

    fn set(&self, report: CheckReport) {
        self.readiness
            .state()
            .checks
            .insert(self.name.clone(), report);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ready_only_when_every_check_passes() {
        let readiness = Readiness::new();
        let (broker, log) = (readiness.check("broker"), readiness.check("log"));
        assert!(
            !readiness.report().ready,
            "a check that was never set must not pass"
        );
        broker.set_ok();
        assert!(!readiness.report().ready);
        log.set_ok();
        assert!(readiness.report().ready);
        broker.set_failed("connection refused");
        let report = readiness.report();
        assert!(!report.ready);
        assert_eq!(report.checks["broker"].detail, "connection refused");
        assert!(report.checks["log"].ok);
    }

    #[test]
    fn noted_check_shows_its_note_and_passes() {
        let readiness = Readiness::new();
        readiness.check("endpoint").set_noted("paused");
        let report = readiness.report();
        assert!(report.ready);
        assert_eq!(report.checks["endpoint"].detail, "paused");
    }

    #[test]
    fn a_stopping_program_is_never_ready_again() {
        let readiness = Readiness::new();
        let broker = readiness.check("broker");
        broker.set_ok();
        readiness.stopping();
        broker.set_ok();
        let report = readiness.report();
        assert!(!report.ready);
        assert_eq!(report.checks["running"].detail, "the program is stopping");
    }

    #[test]
    fn second_handle_does_not_reset_the_check() {
        let readiness = Readiness::new();
        readiness.check("broker").set_ok();
        let again = readiness.check("broker");
        assert!(readiness.report().ready);
        again.set_failed("gone");
        assert!(!readiness.report().ready);
    }
}
