//! Queue contract: the same tests for RabbitMQ and for the embedded store.

mod checks;
mod keyed;
mod lanes;
mod parked;
mod place;
mod registry;
mod shared_file;

use std::process::ExitCode;

use place::{Kind, Place, kinds};
use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    macro_rules! on_both {
        ($checks:ident: $($check:ident),+ $(,)?) => {
            $(for kind in kinds() {
                let name = format!("{kind:?}: {}", stringify!($check));
                tests.add(name, move |test| async move {
                    $checks::$check(&mut Place::new(kind, &test.place())).await;
                });
            })+
        };
    }
    on_both![checks:
        confirmed_events_are_delivered_in_order_and_unchanged_after_a_restart,
        unacked_messages_are_delivered_again_and_marked_redelivered,
        a_message_dropped_unsettled_is_redelivered_at_once,
        a_silent_subscription_with_a_full_prefetch_is_not_replaced,
        no_more_messages_than_the_prefetch_are_unacked,
        a_retry_is_delivered_after_its_delay_and_not_before,
        a_rejected_message_is_dead_lettered_unchanged,
        a_message_redelivered_too_often_is_dead_lettered,
        events_are_routed_by_filter_and_unwanted_events_are_detected,
        no_event_is_unwanted_before_endpoints_are_declared,
        a_topology_that_replaces_another_removes_its_filters,
        a_cancelled_subscription_ends_and_leaves_the_rest_in_the_queue,
        subscriptions_are_counted,
        dead_letters_and_results_stay_until_they_are_taken,
        dead_letters_are_complete_for_each_reader_after_the_one_before,
        a_removed_endpoint_is_found_with_its_messages_and_receives_no_more_once_unbound,
    ];
    on_both![lanes:
        a_lane_is_handed_over_in_order_however_its_owner_ends,
        a_lane_under_load_changes_hands_in_order,
        one_lane_receives_what_a_work_queue_would,
        a_rejected_message_of_a_lane_is_dead_lettered,
    ];
    on_both![parked: parked_events_are_in_order_and_unchanged_after_a_restart];
    macro_rules! on_rabbitmq {
        ($checks:ident: $($check:ident),+ $(,)?) => {
            $(tests.add(format!("RabbitMq: {}", stringify!($check)), move |test| async move {
                $checks::$check(&mut Place::new(Kind::RabbitMq, &test.place())).await;
            });)+
        };
    }
    on_rabbitmq![lanes: a_lost_connection_hands_its_lane_over_in_order];
    macro_rules! on_sqlite {
        ($checks:ident: $($check:ident),+ $(,)?) => {
            $(tests.add(format!("Sqlite: {}", stringify!($check)), move |test| async move {
                $checks::$check(&mut Place::new(Kind::Sqlite, &test.place())).await;
            });)+
        };
    }
    on_sqlite![shared_file:
        dead_letters_that_another_process_removes_are_not_held,
        dead_letters_that_another_process_makes_are_found,
        a_removal_that_fails_is_reported,
    ];
    on_rabbitmq![registry: readers_at_the_same_time_see_all_endpoints];
    on_rabbitmq![keyed:
        an_event_enters_the_lane_of_its_key_and_each_other_queue_once,
        a_running_publisher_learns_about_lanes_and_keeps_to_keys,
        an_event_that_no_endpoint_wants_is_unwanted_by_key_too,
        lanes_of_a_removed_endpoint_are_counted_emptied_and_unbound,
    ];
    tests.run(4)
}
