//! Isolation of endpoints: a hung endpoint does not slow another.

use std::time::Instant;

use wahook_tests::eventually::AT_LAST;
use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::{MACHINE, Several};
use crate::world::{Test, Tests};

const EVENTS: usize = 3_000;
const ROUNDS: usize = 5;
/// Maximum number of rounds: on a busy machine the median of a few rounds varies by a sixth.
const MOST_ROUNDS: usize = 25;
const ENOUGH: f64 = 0.85;

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_hung_endpoint_does_not_slow_another", isolated);
}

/// Measures the same endpoint with two consumers: next to a disabled endpoint, whose queue grows
/// too, and next to one that hangs on every request. The consumers alternate, so that other load
/// on the machine affects both.
async fn isolated(test: Test) {
    let alone = Receiver::start().await;
    let next_to = Receiver::start().await;
    let hanging = Receiver::answering(|_| Answer::silence()).await;
    let one = |name: &str, event: &str, receiver: &Receiver| {
        let url = receiver.url();
        format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"{event}\"]\n")
    };
    let _machine = MACHINE.write().await;
    let pair =
        one("alone", "one", &alone) + &one("disabled", "one", &hanging) + "enabled = false\n";
    let several = Several::start_alone(&test, 1, &pair, &[]).await;
    let pair = one("next-to", "two", &next_to) + &one("hanging", "two", &hanging);
    let other = several.another("pair.toml", &pair).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // One round in which nothing else ran can be twice as fast as all others.
    let median = |rates: &[f64]| {
        let mut sorted = rates.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    for round in 1..=MOST_ROUNDS {
        without.push(drain(&several, &several.consumers[0], &alone, "one").await);
        with.push(drain(&several, &other, &next_to, "two").await);
        if round >= ROUNDS && median(&with) >= ENOUGH * median(&without) {
            break;
        }
    }
    // The other endpoint did hang.
    let counts = other.metrics().await;
    let in_flight = counts.sum_where("wahook_deliveries_in_flight", &[("endpoint", "hanging")]);
    assert!(in_flight > 0.0 || counts.sum("wahook_circuit_open") == 1.0);
    eprintln!("rounds alone {without:.0?}, next to a hung endpoint {with:.0?}");
    let (without, with) = (median(&without), median(&with));
    let ratio = with / without;
    eprintln!(
        "deliveries/s alone {without:.0}, next to a hung endpoint {with:.0}: ratio {ratio:.2}"
    );
    assert!(ratio >= ENOUGH, "{with} of {without} a second");
}

/// Returns the deliveries per second from a full queue. The consumer is frozen while the queue
/// is filled.
async fn drain(several: &Several, consumer: &Program, receiver: &Receiver, event: &str) -> f64 {
    let before = receiver.posts().len();
    consumer.freeze();
    several.batch(event, EVENTS).await;
    consumer.thaw();
    let start = Instant::now();
    receiver.wait_for(before + EVENTS, AT_LAST).await;
    EVENTS as f64 / start.elapsed().as_secs_f64()
}
