//! What a delivery log must do, asked of MongoDB and of the embedded store in the same words.

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
        what_is_written_is_found_and_nothing_else_is,
        users_read_how_a_delivery_stands_by_the_documented_names,
        any_order_and_repetition_ends_in_the_record_that_the_domain_derives,
        delivered_stays_delivered,
        a_redriven_delivery_is_retrying_again_and_keeps_its_history,
        each_endpoint_has_a_record_of_its_own,
        a_payload_is_what_was_sent,
        preparing_again_changes_nothing,
    ];
    tests.run(4)
}
