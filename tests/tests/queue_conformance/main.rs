//! What a queue must do, asked of RabbitMQ and of the embedded store in the same words.

#![allow(
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod checks;
mod place;

use std::process::ExitCode;

use place::{Place, which};
use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    macro_rules! on_both {
        ($($check:ident),+ $(,)?) => {
            $(for kind in which() {
                let name = format!("{kind:?}: {}", stringify!($check));
                tests.add(name, move |test| async move {
                    checks::$check(&mut Place::new(kind, &test.place())).await;
                });
            })+
        };
    }
    on_both![
        confirmed_events_are_handed_out_in_order_and_unchanged_after_a_restart,
        what_was_not_acknowledged_is_handed_out_again_and_says_so,
        what_is_dropped_unsettled_is_handed_out_again_at_once,
        a_silent_subscription_with_its_hands_full_is_left_alone,
        no_more_than_the_prefetch_are_out_at_once,
        a_retry_comes_back_at_its_delay_and_not_before,
        a_rejected_message_is_a_dead_letter_and_otherwise_unchanged,
        a_message_that_comes_back_too_often_is_a_dead_letter,
        each_endpoint_gets_what_it_wants_and_what_none_wants_is_known,
        nothing_is_known_to_be_unwanted_before_endpoints_are_declared,
        what_replaces_another_topology_takes_its_filters_away,
        a_cancelled_subscription_ends_and_leaves_the_rest_in_the_queue,
        subscriptions_are_counted,
        a_dead_letter_and_a_result_rest_until_they_are_taken,
    ];
    tests.run(4)
}
