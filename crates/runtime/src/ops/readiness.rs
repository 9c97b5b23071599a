//! Whether a program can do its work right now, and if not, why.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The checks of one program. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<State>>);

/// Sets one named check. Clones set the same one.
#[derive(Debug, Clone)]
pub struct CheckHandle {
    name: String,
    readiness: Readiness,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessReport {
    /// No check fails, and the program is not stopping.
    pub ready: bool,
    /// Every check by its name.
    pub checks: BTreeMap<String, CheckReport>,
}

/// How one check stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// Whether it passes.
    pub ok: bool,
    /// Why not, in words for people; mostly empty while it passes.
    pub detail: String,
}

#[derive(Debug, Default)]
struct State {
    stopping: bool,
    checks: BTreeMap<String, CheckReport>,
}

impl Readiness {
    /// Ready as long as no check says otherwise.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which fails until it is first set. A name that is there
    /// already gives another handle to the same check.
    #[must_use]
    pub fn check(&self, name: &str) -> CheckHandle {
        let name = name.to_owned();
        self.state()
            .checks
            .entry(name.clone())
            .or_insert_with(|| CheckReport {
                ok: false,
                detail: "not yet known".to_owned(),
            });
        CheckHandle {
            name,
            readiness: self.clone(),
        }
    }

    /// Not ready from now on, for good: the program takes no new work.
    pub fn stopping(&self) {
        self.state().stopping = true;
    }

    /// How everything stands now.
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

    /// A panic elsewhere leaves every field whole, so a poisoned lock is used.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CheckHandle {
    /// It passes.
    pub fn set_ok(&self) {
        self.set(CheckReport {
            ok: true,
            detail: String::new(),
        });
    }

    /// It passes, and there is something to know all the same.
    pub fn set_noted(&self, detail: impl Into<String>) {
        self.set(CheckReport {
            ok: true,
            detail: detail.into(),
        });
    }

    /// It fails; `detail` says why to whoever reads `/readyz`, so it must hold
    /// no secret.
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
    fn a_note_is_shown_and_hinders_nothing() {
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
    fn asking_for_a_check_again_does_not_reset_it() {
        let readiness = Readiness::new();
        readiness.check("broker").set_ok();
        let again = readiness.check("broker");
        assert!(readiness.report().ready);
        again.set_failed("gone");
        assert!(!readiness.report().ready);
    }
}
