//! One endpoint that hangs never slows another.

use std::time::{Duration, Instant};

use wahook_tests::program::Program;
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::{MACHINE, Several};
use crate::world::{Test, Tests};

const EVENTS: usize = 3_000;
const ROUNDS: usize = 5;
/// The best of a few rounds varies by a sixth on a busy machine; that of many does not.
const MOST_ROUNDS: usize = 25;
const ENOUGH: f64 = 0.85;
const IN_THE_END: Duration = Duration::from_secs(60);

pub(crate) fn add(tests: &mut Tests) {
    tests.add("an_endpoint_that_hangs_does_not_slow_another", isolated);
}

/// The same endpoint twice, by two consumers: beside one that rests, whose queue grows all
/// the same, and beside one that hangs on every request. They take turns, so that whatever
/// else the machine does meets both alike.
async fn isolated(test: Test) {
    let alone = Receiver::start().await;
    let beside = Receiver::start().await;
    let hanging = Receiver::answering(|_| Answer::silence()).await;
    let one = |name: &str, event: &str, receiver: &Receiver| {
        let url = receiver.url();
        format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nevents = [\"{event}\"]\n")
    };
    let _machine = MACHINE.write().await;
    let pair = one("alone", "one", &alone) + &one("resting", "one", &hanging) + "enabled = false\n";
    let several = Several::start_alone(&test, 1, &pair, &[]).await;
    let pair = one("beside", "two", &beside) + &one("hanging", "two", &hanging);
    let other = several.another("pair.toml", &pair).await;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    for round in 1..=MOST_ROUNDS {
        without.push(drain(&several, &several.consumers[0], &alone, "one").await);
        with.push(drain(&several, &other, &beside, "two").await);
        if round >= ROUNDS && best(&with) >= ENOUGH * best(&without) {
            break;
        }
    }
    // It did hang, with all the requests that it may.
    let counts = other.metrics().await;
    let in_flight = counts.sum_where("wahook_deliveries_in_flight", &[("endpoint", "hanging")]);
    assert!(in_flight > 0.0 || counts.sum("wahook_circuit_open") == 1.0);
    eprintln!("rounds alone {without:.0?}, beside one that hangs {with:.0?}");
    let (without, with) = (best(&without), best(&with));
    let ratio = with / without;
    eprintln!("deliveries/s alone {without:.0}, beside one that hangs {with:.0}: ratio {ratio:.2}");
    assert!(ratio >= ENOUGH, "{with} of {without} a second");
}

/// Deliveries a second while a full queue is drained. The consumer sleeps while it is filled.
async fn drain(several: &Several, consumer: &Program, receiver: &Receiver, event: &str) -> f64 {
    let before = receiver.posts().len();
    consumer.freeze();
    several.batch(event, EVENTS).await;
    consumer.thaw();
    let start = Instant::now();
    receiver.wait_for(before + EVENTS, IN_THE_END).await;
    EVENTS as f64 / start.elapsed().as_secs_f64()
}
