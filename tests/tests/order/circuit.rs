//! Pauses by the circuit breaker.

use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::Pair;
use wahook_tests::program::Program;

/// Waits until a consumer has paused the endpoint.
pub(crate) async fn until_paused(pair: &Pair) {
    eventually(AT_LAST, "a pause", || async {
        let consumers = pair.consumers.lock().unwrap();
        let is_paused = |consumer: &Program| consumer.stderr_so_far().contains("endpoint paused");
        consumers.iter().any(is_paused).then_some(())
    })
    .await;
}
