//! Rate limit shared by all consumers of an endpoint.

use std::time::{Duration, Instant};

use wahook_tests::receiver::Receiver;

use crate::several::{MACHINE, Several};
use crate::world::{Test, Tests};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "three_consumers_share_a_rate_limit_of_20_per_second",
        shared,
    );
}

/// Returns the maximum number of arrivals in any interval of one second.
pub(crate) fn most_in_a_second(arrivals: &[Instant]) -> usize {
    let within = |(n, first): (usize, &Instant)| {
        let later = &arrivals[n..];
        later.iter().take_while(|at| **at - *first < SECOND).count()
    };
    arrivals.iter().enumerate().map(within).max().unwrap_or(0)
}

async fn shared(test: Test) {
    let receiver = Receiver::start().await;
    let endpoints = format!(
        "[[endpoint]]\nname = \"crm\"\nurl = \"{}\"\nrate_limit = 20\n",
        receiver.url()
    );
    let _machine = MACHINE.write().await;
    let several = Several::start_alone(&test, 3, &endpoints, &[]).await;
    several.batch("message_ack", 1_500).await;
    receiver.wait_for(1, Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(62)).await;
    let mut arrivals: Vec<_> = receiver.posts().iter().map(|post| post.arrived).collect();
    arrivals.sort();
    let minute = arrivals[0] + SECOND * 60;
    arrivals.retain(|at| *at <= minute);
    let (most, average) = (most_in_a_second(&arrivals), arrivals.len() as f64 / 60.0);
    eprintln!(
        "limit of 20/s, 3 consumers, 60 s: at most {most} in any second, {average:.1} on average"
    );
    assert!(most <= 22, "{most} in a second");
    assert!(average >= 18.0, "{average} a second");
    // Each consumer had its share.
    for consumer in &several.consumers {
        let made = consumer.metrics().await.sum("wahook_deliveries_total");
        assert!(made >= 250.0, "one of three made only {made}");
    }
}
