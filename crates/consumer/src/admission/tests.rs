//! Starts of requests on a paused clock.

use prometheus::Registry;
use tokio::{task::JoinSet, time::sleep};
use wahook_runtime::{Readiness, Settings};

use super::*;
use crate::{metrics::ConsumerMetrics, settings::DeliverySettings};

fn admission(settings: &[(&'static str, &'static str)]) -> Arc<Admission> {
    let url = ("WEBHOOK_URL", "https://example.com/");
    let mut settings = Settings::from_pairs([url].into_iter().chain(settings.iter().copied()));
    let settings = DeliverySettings::read(&mut settings).unwrap();
    let endpoint = &settings.endpoints.list[0];
    let metrics = ConsumerMetrics::new(&Registry::new()).unwrap();
    let check = Readiness::new().check("endpoint");
    let metrics = metrics.endpoint(&endpoint.name);
    Arc::new(Admission::new(endpoint, metrics, check))
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_given_up_leave_no_gap_in_the_rate() {
    let admission = admission(&[("WEBHOOK_RATE_LIMIT", "1")]);
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let admission = Arc::clone(&admission);
        waiting.spawn(async move { admission.start().await });
    }
    sleep(Duration::from_secs(5)).await;
    waiting.shutdown().await;
    let given_up = Instant::now();
    assert_eq!(admission.start().await, Some(Started::Paced));
    let waited = given_up.elapsed();
    assert!(waited <= Duration::from_secs(3), "waited {waited:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_start_at_the_rate() {
    let admission = admission(&[("WEBHOOK_RATE_LIMIT", "10")]);
    let begin = Instant::now();
    let mut started = JoinSet::new();
    for _ in 0..50 {
        let admission = Arc::clone(&admission);
        started.spawn(async move { admission.start().await });
    }
    assert!(started.join_all().await.iter().all(Option::is_some));
    let took = begin.elapsed().as_secs_f64();
    assert!((4.9..6.0).contains(&took), "{took} s");
}
