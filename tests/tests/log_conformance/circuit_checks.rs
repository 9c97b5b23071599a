//! Checks of the reports of circuit breakers.

use std::time::Duration;

use wahook_domain::{EndpointName, UnixMillis};
use wahook_operator_state::{CircuitPause, CircuitReport};

use crate::logs::Readable;

const LONG: Duration = Duration::from_secs(3_600);

fn pause(endpoint: &str, since: i64) -> CircuitPause {
    CircuitPause {
        endpoint: EndpointName::parse(endpoint).unwrap(),
        since: UnixMillis::new(since),
        next_probe: UnixMillis::new(since + 1),
        reason: "$answered 500".to_owned(),
    }
}

pub(crate) async fn a_report_replaces_the_one_before_and_is_valid_for_its_time(
    log: &impl Readable,
) {
    let circuits = log.circuits();
    let report = async |pauses: &[CircuitPause], valid_for| {
        let report = CircuitReport {
            consumer: "$consumer".to_owned(),
            pauses: pauses.to_owned(),
            valid_for,
        };
        circuits.report(&report).await.unwrap();
        circuits.pauses().await.unwrap()
    };
    assert_eq!(report(&[], LONG).await, []);
    let both = [pause("crm", 1), pause("shop", 2)];
    assert_eq!(report(&both, LONG).await, both);
    let probed = [pause("crm", 3)];
    assert_eq!(report(&probed, LONG).await, probed);
    assert_eq!(report(&[], LONG).await, []);

    report(&both, Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(circuits.pauses().await.unwrap(), []);
}
