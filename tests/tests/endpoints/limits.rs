//! Rate limit shared by all consumers of an endpoint.

use std::time::{Duration, Instant};

use wahook_tests::receiver::Receiver;

use crate::several::{MACHINE, Several};
use crate::world::{Test, Tests};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "three_consumers_share_a_rate_limit_of_20_per_second",
        shared,
    );
}

/// Returns the maximum number of arrivals in any interval of this length.
pub(crate) fn most_within(interval: Duration, arrivals: &[Instant]) -> usize {
    let within = |(n, first): (usize, &Instant)| {
        let later = &arrivals[n..];
        later
            .iter()
            .take_while(|at| **at - *first < interval)
            .count()
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
    several.batch("message_ack", 600).await;
    receiver.wait_for(600, Duration::from_secs(120)).await;
    let mut arrivals: Vec<_> = receiver.posts().iter().map(|post| post.arrived).collect();
    arrivals.sort();
    assert_eq!(arrivals.len(), 600);
    let took = *arrivals.last().unwrap() - arrivals[0];
    assert!(took >= 28 * SECOND, "600 requests in {took:?}");
    // A busy machine delays single requests, so that those of more than 10 s arrive within 10 s. If
    // the consumers did not share the limit, 600 would arrive.
    let most = most_within(10 * SECOND, &arrivals);
    assert!(most <= 300, "{most} in 10 seconds");
    // Each consumer had its share.
    for consumer in &several.consumers {
        let made = consumer.metrics().await.sum("wahook_deliveries_total");
        assert!(made >= 100.0, "one of three made only {made}");
    }
}
