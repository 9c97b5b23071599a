//! What the environment asks for, and doing it.

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

/// What happens at the n-th passage.
#[derive(Debug, PartialEq, Eq)]
struct At<T> {
    what: T,
    passage: u64,
}

pub(crate) fn pass(place: Failpoint) {
    if is_due(place).is_some() {
        end();
    }
}

/// Up to 750 µs later, by the passage's number: enough for the steps that a
/// publish or a write goes through on one machine.
pub(crate) fn pass_into(place: Failpoint) {
    if let Some(passage) = is_due(place) {
        let pause = Duration::from_micros(250).saturating_mul((passage % 4) as u32);
        thread::spawn(move || {
            thread::sleep(pause);
            end();
        });
    }
}

pub(crate) fn clock_step_ms() -> i64 {
    static STEP: OnceLock<Option<At<i64>>> = OnceLock::new();
    static READINGS: AtomicU64 = AtomicU64::new(0);
    let step = STEP.get_or_init(|| from_environment("WAHOOK_CLOCK_STEP", |ms| ms.parse().ok()));
    match step {
        Some(step) if READINGS.fetch_add(1, Ordering::Relaxed) + 1 >= step.passage => step.what,
        _ => 0,
    }
}

/// The passage's number, where it is the one to end at.
fn is_due(place: Failpoint) -> Option<u64> {
    static FAILPOINT: OnceLock<Option<At<Failpoint>>> = OnceLock::new();
    static PASSAGES: AtomicU64 = AtomicU64::new(0);
    let at = FAILPOINT.get_or_init(|| from_environment("WAHOOK_FAILPOINT", named));
    let at = at.as_ref().filter(|at| at.what == place)?;
    let passage = PASSAGES.fetch_add(1, Ordering::Relaxed) + 1;
    (passage == at.passage).then_some(passage)
}

/// Whoever sets one of these wants nothing but its effect, so a wrong value
/// ends the program as well.
fn from_environment<T>(name: &str, parse: impl Fn(&str) -> Option<T>) -> Option<At<T>> {
    let value = env::var(name).ok()?;
    let at = read(&value, parse);
    if at.is_none() {
        end();
    }
    at
}

fn read<T>(value: &str, parse: impl Fn(&str) -> Option<T>) -> Option<At<T>> {
    let (what, passage) = value.split_once('@')?;
    Some(At {
        what: parse(what)?,
        passage: passage.parse().ok().filter(|passage| *passage > 0)?,
    })
}

fn named(name: &str) -> Option<Failpoint> {
    Failpoint::ALL
        .into_iter()
        .find(|place| place.as_str() == name)
}

/// As by `kill -9`: no destructor runs, nothing is flushed.
fn end() {
    // It can't fail, and the process does not come back from it.
    let _ = raise(Signal::SIGKILL);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_read_by_its_name() {
        for place in Failpoint::ALL {
            let read = read(&format!("{}@17", place.as_str()), named);
            assert_eq!(
                read,
                Some(At {
                    what: place,
                    passage: 17
                })
            );
        }
    }

    #[test]
    fn what_names_no_place_or_no_passage_is_refused() {
        for value in [
            "",
            "posted",
            "posted@",
            "posted@0",
            "posted@-1",
            "nowhere@1",
        ] {
            assert_eq!(read(value, named), None, "{value}");
        }
    }
}
