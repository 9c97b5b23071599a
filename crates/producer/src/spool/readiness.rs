//! Readiness of a producer with a spool: it is ready while it can accept events.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use wahook_domain::LinkState;
use wahook_runtime::{CheckHandle, clock, link::obstacle};

use super::file::{Spool, to_gauge};

/// Interval of the reports.
const EVERY: Duration = Duration::from_secs(1);

/// State of the spool that decides the readiness.
#[derive(Debug, Clone, Default)]
struct State {
    events: u64,
    bytes: u64,
    /// New events wait behind those in the spool.
    holds_back: bool,
    is_full: bool,
    /// Reason for which the file can't be used.
    fault: Option<String>,
}

/// Outcome of the check.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    /// Passed, with a note.
    Noted(String),
    Failed(String),
}

/// Reports readiness and age until the publisher ends.
pub(super) async fn report(
    spool: Arc<Spool>,
    mut broker: watch::Receiver<LinkState>,
    check: CheckHandle,
) {
    let mut file = spool.link.clone();
    loop {
        let (state, age) = {
            let fault = spool.fault();
            let amounts = spool.amounts();
            let state = State {
                events: amounts.events(),
                bytes: amounts.bytes(),
                holds_back: amounts.holds_back(),
                is_full: amounts.is_full(),
                fault,
            };
            (state, amounts.age(clock::now()))
        };
        spool.metrics.oldest_age.set(to_gauge(age.as_secs()));
        let obstacle = obstacle(&broker.borrow_and_update());
        match verdict(obstacle, &state) {
            Verdict::Ok => check.set_ok(),
            Verdict::Noted(note) => check.set_noted(note),
            Verdict::Failed(reason) => check.set_failed(reason),
        }
        tokio::select! {
            changed = broker.changed() => if changed.is_err() {
                return;
            },
            Ok(()) = file.changed() => {}
            () = sleep(EVERY) => {}
        }
    }
}

fn verdict(obstacle: Option<String>, state: &State) -> Verdict {
    let held = format!("{} events, {} bytes", state.events, state.bytes);
    let spool = match &state.fault {
        Some(reason) => Some(format!("the spool can't be used: {reason}")),
        None => state.is_full.then(|| format!("the spool is full: {held}")),
    };
    match (obstacle, spool) {
        (None, None) if state.holds_back => Verdict::Noted(format!("forwarding the spool: {held}")),
        (None, None) => Verdict::Ok,
        (None, Some(spool)) if state.holds_back => Verdict::Failed(spool),
        (None, Some(spool)) => Verdict::Noted(format!("{spool}; events go to the broker")),
        (Some(broker), None) => {
            Verdict::Noted(format!("events go to the spool ({held}): {broker}"))
        }
        (Some(broker), Some(spool)) => Verdict::Failed(format!("{spool}; {broker}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> Option<String> {
        Some("connection refused".to_owned())
    }

    fn holding() -> State {
        State {
            events: 3,
            bytes: 2_000,
            holds_back: true,
            ..State::default()
        }
    }

    #[test]
    fn producer_is_ready_while_broker_or_spool_takes_events() {
        assert_eq!(verdict(None, &State::default()), Verdict::Ok);
        for (obstacle, state, part) in [
            (away(), State::default(), "connection refused"),
            (away(), holding(), "3 events, 2000 bytes"),
            (None, holding(), "forwarding"),
        ] {
            match verdict(obstacle, &state) {
                Verdict::Noted(note) => assert!(note.contains(part), "{note}"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn producer_is_not_ready_while_neither_takes_events() {
        let full = State {
            is_full: true,
            ..holding()
        };
        let broken = State {
            fault: Some("database or disk is full".to_owned()),
            ..State::default()
        };
        for (obstacle, state, part) in [
            (away(), &full, "the spool is full"),
            // New events must wait behind the spooled ones.
            (None, &full, "the spool is full"),
            (away(), &broken, "disk is full"),
        ] {
            match verdict(obstacle, state) {
                Verdict::Failed(reason) => assert!(reason.contains(part), "{reason}"),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(verdict(None, &broken), Verdict::Noted(_)));
    }
}
