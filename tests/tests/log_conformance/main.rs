//! Delivery log contract: the same tests for MongoDB and for the embedded store.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod checks;
mod logs;

use std::process::ExitCode;

use logs::{InMongo, InSqlite};
use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    macro_rules! on_both {
        ($($check:ident),+ $(,)?) => {
            $(
                tests.add(concat!("MongoDb: ", stringify!($check)), |test| async move {
                    checks::$check(&InMongo::open(&test.place()).await).await;
                });
                tests.add(concat!("Sqlite: ", stringify!($check)), |_| async move {
                    checks::$check(&InSqlite::open()).await;
                });
            )+
        };
    }
    on_both![
        written_records_are_found_and_no_others,
        a_record_has_the_documented_fields,
        any_order_and_repetition_of_results_gives_the_same_record,
        a_delivered_record_stays_delivered,
        a_redriven_delivery_is_retrying_again_and_keeps_its_history,
        each_endpoint_has_a_record_of_its_own,
        the_payload_equals_the_data_that_was_sent,
        preparing_the_log_again_changes_nothing,
    ];
    tests.run(4)
}
