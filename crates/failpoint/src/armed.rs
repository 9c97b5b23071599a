//! Failpoints as configured by the environment.

use std::{
    env,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::signal::{Signal, raise};

use crate::Failpoint;

/// Value that takes effect at the n-th passage.
#[derive(Debug, PartialEq, Eq)]
struct AtPassage<T> {
    value: T,
    passage: u64,
}

pub(crate) fn pass(place: Failpoint) {
    if is_due(place).is_some() {
        kill_process();
    }
}

/// Kills the process up to 750 µs later, depending on the passage's number: enough
/// for the steps of a publish or a write on one machine.
pub(crate) fn pass_into(place: Failpoint) {
    if let Some(passage) = is_due(place) {
        let pause = Duration::from_micros(250).saturating_mul((passage % 4) as u32);
        thread::spawn(move || {
            thread::sleep(pause);
            kill_process();
        });
    }
}

pub(crate) fn clock_step_ms() -> i64 {
    static STEP: OnceLock<Option<AtPassage<i64>>> = OnceLock::new();
    static READINGS: AtomicU64 = AtomicU64::new(0);
    let step = STEP.get_or_init(|| from_environment("WAHOOK_CLOCK_STEP", |ms| ms.parse().ok()));
    match step {
        Some(step) if READINGS.fetch_add(1, Ordering::Relaxed) + 1 >= step.passage => step.value,
        _ => 0,
    }
}

/// Returns the passage's number if the process must be killed at it.
fn is_due(place: Failpoint) -> Option<u64> {
    static FAILPOINT: OnceLock<Option<AtPassage<Failpoint>>> = OnceLock::new();
    static PASSAGES: AtomicU64 = AtomicU64::new(0);
    let at = FAILPOINT.get_or_init(|| from_environment("WAHOOK_FAILPOINT", failpoint));
    let at = at.as_ref().filter(|at| at.value == place)?;
    let passage = PASSAGES.fetch_add(1, Ordering::Relaxed) + 1;
    (passage == at.passage).then_some(passage)
}

/// Reads `value@passage`. The variables are set for their effect only, so an invalid
/// value kills the process as well.
fn from_environment<T>(name: &str, parse: impl Fn(&str) -> Option<T>) -> Option<AtPassage<T>> {
    let value = env::var(name).ok()?;
    let at = read(&value, parse);
    if at.is_none() {
        kill_process();
    }
    at
}

fn read<T>(value: &str, parse: impl Fn(&str) -> Option<T>) -> Option<AtPassage<T>> {
    let (value, passage) = value.split_once('@')?;
    Some(AtPassage {
        value: parse(value)?,
        passage: passage.parse().ok().filter(|passage| *passage > 0)?,
    })
}

fn failpoint(name: &str) -> Option<Failpoint> {
    Failpoint::ALL
        .into_iter()
        .find(|place| place.as_str() == name)
}

/// Kills the process as `kill -9` does: no destructor runs, nothing is flushed.
fn kill_process() {
    // SIGKILL cannot be caught, so this does not return.
    let _ = raise(Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failpoint_is_parsed_by_its_name() {
        for place in Failpoint::ALL {
            let read = read(&format!("{}@17", place.as_str()), failpoint);
            assert_eq!(
                read,
                Some(AtPassage {
                    value: place,
                    passage: 17
                })
            );
        }
    }

    #[test]
    fn value_without_a_failpoint_or_passage_is_rejected() {
        for value in [
            "",
            "posted",
            "posted@",
            "posted@0",
            "posted@-1",
            "unknown@1",
        ] {
            assert_eq!(read(value, failpoint), None, "{value}");
        }
    }
}
