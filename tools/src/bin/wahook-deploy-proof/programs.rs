//! Addresses of the programs of the scenario, and its console.

use std::sync::PoisonError;

use wahook_tests::pair::Pair;
use wahook_tests::program::Program;

use crate::chapters::SOON;

/// Starts a console without a token.
pub(crate) async fn console(pair: &Pair) -> Program {
    let place = pair.place();
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("MONGODB_DATABASE", place.database.as_str()),
    ];
    let console = Program::console(&settings).await;
    console.wait_ready(SOON).await;
    console
}

/// Returns the addresses of the consumers.
pub(crate) fn consumers(pair: &Pair) -> Vec<String> {
    let consumers = pair
        .consumers
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    consumers
        .iter()
        .map(|consumer| address(&consumer.base_url()))
        .collect()
}

/// Returns the URL of a consumer.
pub(crate) fn consumer_of(pair: &Pair) -> String {
    let consumers = pair.consumers.lock();
    let consumers = consumers.unwrap_or_else(PoisonError::into_inner);
    consumers.first().map(Program::base_url).unwrap_or_default()
}

pub(crate) fn address(base_url: &str) -> String {
    base_url.trim_start_matches("http://").to_owned()
}
