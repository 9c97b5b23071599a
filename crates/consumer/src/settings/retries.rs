//! Retry rule of an endpoint: number and first delay of the retries, or their schedule.

use wahook_domain::RetryRule;
use wahook_runtime::Settings;
use wahook_runtime::settings::toml_table::Table;

use super::declared::{
    RETRY_ATTEMPTS, RETRY_DELAY, WEBHOOK_RETRY_ATTEMPTS, WEBHOOK_RETRY_DELAY,
    WEBHOOK_RETRY_SCHEDULE,
};

/// Reads the rule of the single endpoint.
pub(super) fn read(settings: &mut Settings) -> Option<RetryRule> {
    let schedule = settings.value(&WEBHOOK_RETRY_SCHEDULE);
    let retries = settings.value(&WEBHOOK_RETRY_ATTEMPTS);
    let delay = settings.value(&WEBHOOK_RETRY_DELAY);
    if !settings.is_given(&WEBHOOK_RETRY_SCHEDULE) {
        // Both parts are within their ranges.
        return RetryRule::new(retries?, delay?).ok();
    }
    for setting in [WEBHOOK_RETRY_ATTEMPTS, WEBHOOK_RETRY_DELAY] {
        if settings.is_given(&setting) {
            let other = WEBHOOK_RETRY_SCHEDULE.name;
            let problem = format!("is set together with {other}: keep one");
            settings.fault_at(setting.name, problem);
        }
    }
    schedule
}

/// Reads the rule from the endpoints file.
pub(super) fn read_from(table: &mut Table<'_, '_>) -> Option<RetryRule> {
    let has_parts = ["retry_attempts", "retry_delay"].map(|name| table.has(name));
    let retries = table.whole("retry_attempts", RETRY_ATTEMPTS, 0..=RetryRule::MAX_RETRIES);
    let longest = RetryRule::MAX_FIRST_DELAY_MS;
    let delay = table.whole("retry_delay", RETRY_DELAY, 1..=longest);
    let Some((text, place)) = table.text("retry_schedule") else {
        return RetryRule::new(retries, delay).ok();
    };
    if has_parts.contains(&true) {
        let problem = "keep one of retry_schedule and retry_attempts with retry_delay";
        table.fault(&place, problem);
    }
    text.parse()
        .map_err(|error| table.fault(&place, format_args!("retry_schedule {error}")))
        .ok()
}
