//! Runs of failures and refusals of an endpoint since its last success.

use std::{collections::VecDeque, time::Duration};

use super::rule::CircuitRule;
use crate::health::HealthSignal;

/// Consecutive 410 answers that open the circuit.
const GONE_LIMIT: u32 = 5;
/// Longest time between two successes that is taken as usual for the endpoint.
const LONGEST_GAP: Duration = Duration::from_secs(300);

/// Evidence since the last success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runs {
    failures: Run,
    refusals: Run,
    first_refusal: Option<Duration>,
    /// Consecutive 410 answers.
    gone: u32,
}

/// Decision of a circuit after one more failure or refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Up,
    /// Down, after failures.
    Down,
    /// Refuses or removed; the first probe is due after this time.
    Refuses(Duration),
}

impl Runs {
    /// Ends all runs after a success. Returns true if there were refusals.
    pub(super) fn end(&mut self) -> bool {
        self.failures.0.clear();
        self.refusals.0.clear();
        self.gone = 0;
        self.first_refusal.take().is_some()
    }

    /// Adds a signal that is no success. `usual` is the usual time between two successes.
    pub(super) fn add(
        &mut self,
        now: Duration,
        signal: HealthSignal,
        rule: &CircuitRule,
        usual: Duration,
    ) -> Verdict {
        match signal {
            HealthSignal::Failure if self.failures.add(now, rule) => Verdict::Down,
            HealthSignal::Refused => {
                let began = *self.first_refusal.get_or_insert(now);
                // Half a window without any success, or twice the usual time without one.
                let patience = (rule.window / 2).max(usual.saturating_mul(2));
                let is_run = self.refusals.add(now, rule);
                if is_run && now.saturating_sub(began) >= patience {
                    Verdict::Refuses(rule.quick_probe())
                } else {
                    Verdict::Up
                }
            }
            HealthSignal::Gone => {
                self.gone = self.gone.saturating_add(1);
                if self.gone >= rule.failures.min(GONE_LIMIT) {
                    Verdict::Refuses(rule.longest_probe)
                } else {
                    Verdict::Up
                }
            }
            _ => Verdict::Up,
        }
    }
}

/// Times of the latest consecutive signals of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Run(VecDeque<Duration>);

impl Run {
    /// Returns true if the run is long enough within the rule's window.
    fn add(&mut self, now: Duration, rule: &CircuitRule) -> bool {
        let run = &mut self.0;
        run.push_back(now);
        while run.len() > rule.failures as usize {
            run.pop_front();
        }
        let began = run.front().copied().unwrap_or(now);
        run.len() >= rule.failures as usize && now.saturating_sub(began) <= rule.window
    }
}

/// Usual time between two successes of an endpoint that refuses some events: such an
/// endpoint is not paused because one of these events is rare.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Gap {
    usual: Duration,
    last_success: Option<Duration>,
}

impl Gap {
    pub(super) const fn usual(&self) -> Duration {
        self.usual
    }

    /// Records a success. Without refusals before it the usual time is soon forgotten.
    pub(super) fn success(&mut self, now: Duration, had_refusals: bool) {
        let last = self.last_success.replace(now).unwrap_or(now);
        if had_refusals {
            let gap = now.saturating_sub(last).min(LONGEST_GAP);
            self.usual = gap.max(self.usual / 2);
        } else if !self.usual.is_zero() {
            self.usual = self.usual.saturating_sub(self.usual / 64);
        }
    }
}
