use super::*;
use proptest::prelude::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn circuit() -> Circuit {
    Circuit::new(Some(CircuitRule::default()))
}

fn failing(circuit: &mut Circuit, times: u32, at: Duration) -> Vec<Option<Change>> {
    (0..times)
        .map(|_| circuit.record(at, HealthSignal::Failure))
        .collect()
}

fn open_at(at: Duration) -> Circuit {
    let mut circuit = circuit();
    let changes = failing(&mut circuit, 20, at);
    assert_eq!(changes.last(), Some(&Some(Change::Opened)));
    circuit
}

/// Returns the time at which refusals, one each second from `from` on, open the circuit.
fn refused_until_open(circuit: &mut Circuit, from: u64) -> u64 {
    let mut refused = (from..from + 1_000)
        .filter(|at| circuit.record(s(*at), HealthSignal::Refused) == Some(Change::Opened));
    refused.next().unwrap()
}

#[test]
fn twenty_consecutive_failures_within_a_minute_open_the_circuit() {
    let mut circuit = circuit();
    assert_eq!(failing(&mut circuit, 19, s(0)), [None; 19]);
    assert!(!circuit.is_open() && circuit.probe_at().is_none());
    let change = circuit.record(s(60), HealthSignal::Failure);
    assert_eq!(change, Some(Change::Opened));
    assert!(circuit.is_open());
    assert_eq!(circuit.probe_at(), Some(s(65)));
    let change = circuit.record(s(60), HealthSignal::Failure);
    assert_eq!(change, None, "already open");
}

#[test]
fn failures_further_apart_do_not_open_the_circuit() {
    let mut circuit = circuit();
    for n in 0..200 {
        // No window of a minute contains 20 of them.
        assert_eq!(circuit.record(s(n) * 61 / 19, HealthSignal::Failure), None);
    }
}

#[test]
fn success_resets_the_failures_and_a_rejected_event_does_not() {
    let mut circuit = circuit();
    failing(&mut circuit, 19, s(0));
    circuit.record(s(1), HealthSignal::Success);
    assert_eq!(failing(&mut circuit, 19, s(1)), [None; 19]);
    assert_eq!(circuit.record(s(1), HealthSignal::Rejected), None);
    let change = circuit.record(s(1), HealthSignal::Failure);
    assert_eq!(change, Some(Change::Opened));
}

#[test]
fn rejected_events_never_open_the_circuit() {
    let mut circuit = circuit();
    for n in 0..10_000 {
        assert_eq!(circuit.record(s(n), HealthSignal::Rejected), None);
    }
}

#[test]
fn refusals_open_the_circuit_once_nothing_succeeds_for_half_a_window() {
    let mut circuit = circuit();
    circuit.record(s(1), HealthSignal::Success);
    assert_eq!(refused_until_open(&mut circuit, 2), 32);
    assert_eq!(circuit.probe_at(), Some(s(33)));
}

#[test]
fn refusals_between_successes_do_not_open_the_circuit() {
    let mut circuit = circuit();
    for n in 0..2_000 {
        let signal = if n % 29 == 0 {
            HealthSignal::Success
        } else {
            HealthSignal::Refused
        };
        assert_eq!(circuit.record(s(n), signal), None);
    }
    // A minute without a success is twice as long as usual here.
    assert_eq!(refused_until_open(&mut circuit, 2_000), 1_973 + 58);
}

#[test]
fn refused_endpoint_is_probed_within_20_seconds() {
    let mut circuit = circuit();
    let mut now = s(refused_until_open(&mut circuit, 0));
    let mut waits = Vec::new();
    for _ in 0..47 {
        let next = circuit.probe_at().unwrap();
        waits.push((next - now).as_secs());
        now = next;
        assert_eq!(circuit.record(now, HealthSignal::Refused), None);
        circuit.probe_failed(now, HealthSignal::Refused);
    }
    assert_eq!(waits[..41], [1; 41]);
    assert_eq!(waits[41..], [2, 4, 8, 16, 20, 20]);
    let change = circuit.record(now, HealthSignal::Success);
    assert!(matches!(change, Some(Change::Closed(_))));
}

#[test]
fn five_410_answers_open_the_circuit_for_the_longest_probe() {
    let mut circuit = circuit();
    for _ in 0..4 {
        assert_eq!(circuit.record(s(0), HealthSignal::Gone), None);
    }
    let change = circuit.record(s(0), HealthSignal::Gone);
    assert_eq!(change, Some(Change::Opened));
    assert_eq!(circuit.probe_at(), Some(s(300)));
    circuit.probe_failed(s(300), HealthSignal::Gone);
    assert_eq!(circuit.probe_at(), Some(s(600)));
}

#[test]
fn probe_interval_doubles_from_5_s_up_to_5_minutes() {
    let mut circuit = open_at(s(0));
    let mut waits = Vec::new();
    let mut now = s(0);
    for _ in 0..9 {
        let next = circuit.probe_at().unwrap();
        waits.push((next - now).as_secs());
        now = next;
        circuit.probe_failed(now, HealthSignal::Failure);
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert!(circuit.is_open());
}

#[test]
fn success_or_a_rejected_event_closes_the_circuit() {
    for signal in [HealthSignal::Success, HealthSignal::Rejected] {
        let mut circuit = open_at(s(0));
        let change = circuit.record(s(35), signal);
        assert_eq!(change, Some(Change::Closed(s(35))));
        let failures = failing(&mut circuit, 19, s(36));
        assert_eq!(failures, [None; 19], "failures count from 0 again");
    }
}

#[test]
fn endpoint_that_fails_soon_after_recovery_is_probed_less_often() {
    let mut circuit = open_at(s(0));
    circuit.probe_failed(s(5), HealthSignal::Failure);
    circuit.record(s(15), HealthSignal::Success);
    failing(&mut circuit, 20, s(20));
    assert_eq!(circuit.probe_at(), Some(s(40)), "last interval: 10 s");
    circuit.record(s(40), HealthSignal::Success);
    failing(&mut circuit, 20, s(200));
    let first = Some(s(205));
    assert_eq!(circuit.probe_at(), first, "up for more than a minute");
}

#[test]
fn requested_wait_holds_deliveries_and_probes() {
    let mut circuit = circuit();
    assert_eq!(circuit.hold(s(0), s(10)), None, "short");
    assert_eq!(circuit.held_until(), s(10));
    assert_eq!(circuit.hold(s(1), s(60)), Some(Change::Opened));
    assert_eq!(circuit.probe_at(), Some(s(61)));
    // A request that was in flight has succeeded.
    assert_eq!(circuit.record(s(2), HealthSignal::Success), None);
    circuit.hold(s(61), s(3_600));
    circuit.probe_failed(s(61), HealthSignal::Busy(Some(s(3_600))));
    assert_eq!(circuit.probe_at(), Some(s(3_661)));
    let change = circuit.record(s(3_662), HealthSignal::Success);
    assert_eq!(change, Some(Change::Closed(s(3_661))));
}

#[test]
fn without_a_rule_only_a_requested_wait_opens_the_circuit() {
    let mut circuit = Circuit::new(None);
    for signal in [
        HealthSignal::Failure,
        HealthSignal::Refused,
        HealthSignal::Gone,
    ] {
        for n in 0..1_000 {
            assert_eq!(circuit.record(s(n), signal), None);
        }
    }
    assert_eq!(circuit.hold(s(1_000), s(60)), Some(Change::Opened));
    let change = circuit.record(s(1_060), HealthSignal::Failure);
    assert_eq!(change, Some(Change::Closed(s(60))));
}

#[test]
fn new_rule_applies_at_once() {
    let mut circuit = open_at(s(0));
    circuit.apply_rule(Some(CircuitRule::default()), s(2));
    assert_eq!(circuit.probe_at(), Some(s(2)));
    circuit.record(s(2), HealthSignal::Success);
    let sensitive = CircuitRule {
        failures: 1,
        ..CircuitRule::default()
    };
    circuit.apply_rule(Some(sensitive), s(3));
    let change = circuit.record(s(100), HealthSignal::Failure);
    assert_eq!(change, Some(Change::Opened));
    circuit.apply_rule(None, s(101));
    assert!(!circuit.is_open());
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Record(HealthSignal),
    ProbeFails(HealthSignal),
    Hold(u64),
}

proptest! {
    /// Any sequence of steps: the circuit opens on evidence against the endpoint and
    /// closes on an answer only, never while it is held, and the next probe is due
    /// within its bounds.
    #[test]
    fn circuit_opens_on_evidence_and_closes_on_an_answer(
        steps in prop::collection::vec((0_u64..8, prop_oneof![
            1 => Just(Step::Record(HealthSignal::Success)),
            1 => Just(Step::Record(HealthSignal::Rejected)),
            4 => Just(Step::Record(HealthSignal::Failure)),
            4 => Just(Step::Record(HealthSignal::Refused)),
            1 => Just(Step::Record(HealthSignal::Gone)),
            1 => Just(Step::ProbeFails(HealthSignal::Failure)),
            1 => Just(Step::ProbeFails(HealthSignal::Refused)),
            1 => (0_u64..40).prop_map(Step::Hold),
        ]), 0..300),
    ) {
        let rule = CircuitRule { failures: 4, window: s(10), first_probe: s(2), longest_probe: s(20) };
        let mut circuit = Circuit::new(Some(rule));
        let mut now = s(0);
        for (later, step) in steps {
            now += s(later);
            let was_open = circuit.is_open();
            let change = match step {
                Step::Record(signal) => circuit.record(now, signal),
                Step::ProbeFails(signal) => { circuit.probe_failed(now, signal); None }
                Step::Hold(wait) => circuit.hold(now, s(wait)),
            };
            match (was_open, circuit.is_open()) {
                (false, true) => {
                    prop_assert_eq!(change, Some(Change::Opened));
                    let wait = circuit.probe_at().unwrap() - now;
                    prop_assert!(wait >= s(1) && wait <= s(40));
                }
                (true, false) => {
                    prop_assert!(matches!(change, Some(Change::Closed(_))));
                    prop_assert!(now >= circuit.held_until());
                    let answers = [HealthSignal::Success, HealthSignal::Rejected];
                    prop_assert!(answers.iter().any(|signal| matches!(step, Step::Record(s) if s == *signal)));
                }
                (true, true) if matches!(step, Step::ProbeFails(_)) => {
                    let probe_at = circuit.probe_at().unwrap();
                    prop_assert!(probe_at >= circuit.held_until());
                    prop_assert!(probe_at >= now + s(1) && probe_at <= circuit.held_until().max(now + s(20)));
                }
                _ => prop_assert_eq!(change, None),
            }
        }
    }
}

#[test]
fn requested_probe_is_due_at_once_and_its_success_ends_a_requested_wait() {
    let mut circuit = circuit();
    assert!(!circuit.probe_at_once(s(1)) && !circuit.is_open());
    assert_eq!(circuit.hold(s(1), s(3_600)), Some(Change::Opened));
    assert!(circuit.probe_at_once(s(10)));
    assert_eq!(circuit.probe_at(), Some(s(10)));
    // A probe that is due already stays due.
    assert!(circuit.probe_at_once(s(20)));
    assert_eq!(circuit.probe_at(), Some(s(10)));
    let change = circuit.record(s(21), HealthSignal::Success);
    assert_eq!(change, Some(Change::Closed(s(20))));
}
