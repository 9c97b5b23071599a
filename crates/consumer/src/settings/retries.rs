//! Retry rule of an endpoint: number and first delay of the retries, or their schedule; and
//! the redrive of dead letters after an outage.

use wahook_domain::{AutoRedrive, RedrivePeriod, RedriveRate, RetryRule};
use wahook_runtime::Settings;
use wahook_runtime::settings::toml_table::Table;

use super::retry_settings::{
    RETRY_ATTEMPTS, RETRY_DELAY, WEBHOOK_AUTO_REDRIVE, WEBHOOK_AUTO_REDRIVE_RATE,
    WEBHOOK_RETRY_ATTEMPTS, WEBHOOK_RETRY_DELAY, WEBHOOK_RETRY_SCHEDULE,
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

/// Reads the automatic redrive of the single endpoint.
pub(super) fn read_auto_redrive(settings: &mut Settings) -> Option<AutoRedrive> {
    let period: Option<RedrivePeriod> = settings.value(&WEBHOOK_AUTO_REDRIVE);
    let rate = settings.value(&WEBHOOK_AUTO_REDRIVE_RATE);
    let other = &WEBHOOK_AUTO_REDRIVE;
    if settings.is_given(&WEBHOOK_AUTO_REDRIVE_RATE) && !settings.is_given(other) {
        let problem = format!("is set without {}: set both or neither", other.name);
        settings.fault_at(WEBHOOK_AUTO_REDRIVE_RATE.name, problem);
    }
    // The rate is within its range.
    let rate = RedriveRate::new(rate?)?;
    period.map(|period| AutoRedrive { period, rate })
}

/// Reads the automatic redrive from the endpoints file.
pub(super) fn read_auto_redrive_from(table: &mut Table<'_, '_>) -> Option<AutoRedrive> {
    let has_period = table.has("auto_redrive");
    let period = table.read("auto_redrive", RedrivePeriod::FORM, |value| {
        value.as_str()?.parse().ok()
    });
    if let Some(place) = table.place_of("auto_redrive_rate").filter(|_| !has_period) {
        table.fault(
            &place,
            "auto_redrive_rate needs auto_redrive, such as \"6h\"",
        );
    }
    let rates = 1..=RedriveRate::HIGHEST;
    let rate = table.whole("auto_redrive_rate", RedriveRate::DEFAULT, rates);
    let (period, rate) = period.zip(RedriveRate::new(rate))?;
    Some(AutoRedrive { period, rate })
}
