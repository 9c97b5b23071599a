//! Delivery log contract: the same tests for MongoDB and for the embedded store.

mod another_event_checks;
mod checks;
mod circuit_checks;
mod erasure_checks;
mod figure_checks;
mod follow_checks;
mod job_checks;
mod logs;
mod operator_checks;
mod read_checks;
mod search_checks;
mod sent_checks;

use std::process::ExitCode;

use logs::{InMongo, InSqlite};
use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    macro_rules! on_both {
        ($module:ident: $($check:ident),+ $(,)?) => {
            $(
                tests.add(concat!("MongoDb: ", stringify!($check)), |test| async move {
                    $module::$check(&InMongo::open(&test.place()).await).await;
                });
                tests.add(concat!("Sqlite: ", stringify!($check)), |_| async move {
                    $module::$check(&InSqlite::open()).await;
                });
            )+
        };
    }
    on_both![checks:
        written_records_are_found_and_no_others,
        a_record_has_the_documented_fields,
        any_order_and_repetition_of_results_gives_the_same_record,
        of_very_many_attempts_the_first_newest_and_successful_ones_are_kept,
        a_delivered_record_stays_delivered,
        a_redriven_delivery_is_retrying_again_and_keeps_its_history,
        each_endpoint_has_a_record_of_its_own,
        the_payload_equals_the_data_that_was_sent,
        preparing_the_log_again_changes_nothing,
    ];
    on_both![another_event_checks:
        attempts_of_another_event_with_the_same_id_are_marked,
        values_that_the_log_does_not_keep_make_no_other_event,
    ];
    on_both![read_checks:
        a_survey_returns_the_state_of_every_record_of_its_window,
        a_survey_returns_thousands_of_records_once_each,
        a_survey_fails_at_an_unreadable_record,
        a_survey_of_ids_returns_their_records_at_all_endpoints,
        recent_endpoints_are_those_of_the_thousand_newest_records,
        counts_are_grouped_by_event_status_or_endpoint,
        the_lifetime_follows_the_retention,
    ];
    on_both![follow_checks:
        ended_deliveries_are_followed_once_each,
        a_filter_selects_the_ended_deliveries,
        an_ended_delivery_of_two_events_says_so,
    ];
    on_both![operator_checks:
        orders_change_the_state_of_their_endpoint,
        orders_at_the_same_time_are_all_in_effect,
        orders_and_other_actions_are_recorded,
        events_that_are_given_up_stay_until_they_are_forgotten,
    ];
    on_both![circuit_checks:
        a_report_replaces_the_one_before_and_is_valid_for_its_time,
    ];
    on_both![job_checks:
        a_job_is_claimed_by_one_program_and_keeps_its_progress,
        items_are_read_from_any_position_until_the_job_ends,
        a_cancelled_job_ends_at_its_next_report,
        jobs_are_bounded_in_number,
    ];
    on_both![erasure_checks:
        erased_records_keep_only_what_is_not_personal,
        a_later_result_does_not_restore_an_erased_record,
        a_record_is_erased_once_its_delivery_is_concluded,
        records_of_a_chats_devices_are_erased_and_no_others,
        hundreds_of_records_are_erased_in_steps,
        redacted_values_are_not_stored_and_the_chat_is,
    ];
    on_both![search_checks:
        a_search_returns_the_deliveries_that_match_newest_first,
        pages_return_each_delivery_once_while_others_arrive,
        a_delivery_has_its_payload_and_attempts,
    ];
    on_both![sent_checks:
        bytes_that_the_payload_does_not_give_back_are_stored,
        bytes_of_events_with_values_to_redact_are_not_stored,
    ];
    on_both![figure_checks:
        a_summary_counts_by_hour_event_and_endpoint,
        recent_endpoints_have_the_durations_of_their_attempts,
    ];
    tests.run(4)
}
