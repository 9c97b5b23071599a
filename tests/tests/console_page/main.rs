//! Page of the console in a real browser, on the log of a single process and on MongoDB.

mod actions;
mod detail;
mod endpoints;
mod forged;
mod hostile;
mod keyboard;
mod large;
mod list;
mod login;
mod picture;
mod stage;

use std::process::ExitCode;

use stage::{Kind, On};
use wahook_tests::world::Tests;

fn main() -> ExitCode {
    let mut tests = Tests::default();
    macro_rules! on_both {
        ($module:ident: $($check:ident),+ $(,)?) => {
            $(for kind in [Kind::DataFile, Kind::MongoDb] {
                let name = format!("{kind:?}::{}::{}", stringify!($module), stringify!($check));
                tests.add(name, move |test| $module::$check(On { kind, test }));
            })+
        };
    }
    on_both![actions:
        selected_and_matching_deliveries_are_redelivered_after_a_confirmation,
        five_hundred_selected_failures_are_sent_once_more_each,
        endpoints_show_their_state_and_failed_actions_are_reported,
        dead_letters_are_grouped_and_redriven,
    ];
    on_both![detail:
        detail_has_attempts_payload_headers_and_a_command,
        hidden_payloads_are_not_in_the_detail,
    ];
    on_both![endpoints:
        a_pause_by_the_circuit_breaker_is_shown_with_its_error_and_probe,
        an_event_that_holds_its_key_is_given_up_after_a_confirmation,
    ];
    on_both![forged:
        a_page_of_another_origin_can_neither_act_with_the_session_nor_read,
        a_name_that_is_bound_to_this_machine_can_neither_act_nor_read,
    ];
    on_both![hostile:
        a_hostile_delivery_is_shown_and_never_executed,
        the_content_security_policy_blocks_injected_code,
    ];
    on_both![keyboard: every_function_works_with_the_keyboard];
    on_both![large: a_hundred_thousand_deliveries_are_listed_searched_counted_and_followed];
    on_both![list:
        deliveries_are_listed_live_and_filtered_by_the_url,
        further_pages_are_loaded_and_a_paused_list_stays,
    ];
    on_both![login: token_opens_the_page_and_readers_see_no_actions];
    on_both![picture: views_are_accessible_in_light_in_dark_and_on_a_phone];
    tests.run(3)
}
