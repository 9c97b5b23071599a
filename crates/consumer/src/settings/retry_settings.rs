//! Declarations of the settings about retries and redrives.

use wahook_domain::{RedrivePeriod, RedriveRate, RetryRule};
use wahook_runtime::{
    Setting,
    settings::{DefaultValue, Kind},
};

/// Defaults of an endpoint; the delay is in milliseconds.
pub(super) const RETRY_ATTEMPTS: u32 = 3;
pub(super) const RETRY_DELAY: u32 = 5_000;

pub(super) const WEBHOOK_RETRY_ATTEMPTS: Setting = Setting {
    name: "WEBHOOK_RETRY_ATTEMPTS",
    kind: Kind::Integer {
        min: 0,
        max: RetryRule::MAX_RETRIES as u64,
        unit: "",
    },
    default: DefaultValue::Number(RETRY_ATTEMPTS as u64),
    example: "3",
    help: "retries after the first attempt",
    meaning: "retries after the first attempt",
};

pub(super) const WEBHOOK_RETRY_DELAY: Setting = Setting {
    name: "WEBHOOK_RETRY_DELAY",
    kind: Kind::Integer {
        min: 1,
        max: RetryRule::MAX_FIRST_DELAY_MS as u64,
        unit: "milliseconds",
    },
    default: DefaultValue::Number(RETRY_DELAY as u64),
    example: "5000",
    help: "delay before the first retry, doubled for each further one",
    meaning: "delay before the first retry; doubled for each further retry",
};

pub(super) const WEBHOOK_RETRY_SCHEDULE: Setting = Setting {
    name: "WEBHOOK_RETRY_SCHEDULE",
    kind: Kind::Text(RetryRule::SCHEDULE_FORM),
    default: DefaultValue::None,
    example: "5s,10s,20s,5m,30m,2h,8h",
    help: "delay before each retry, instead of attempts and delay",
    meaning: "delay before each retry, in `d`, `h`, `m`, `s` or `ms`; replaces \
        `WEBHOOK_RETRY_ATTEMPTS` and `WEBHOOK_RETRY_DELAY`, an error together with one of them",
};

pub(super) const WEBHOOK_AUTO_REDRIVE: Setting = Setting {
    name: "WEBHOOK_AUTO_REDRIVE",
    kind: Kind::Text(RedrivePeriod::FORM),
    default: DefaultValue::None,
    example: "6h",
    help: "redrive dead letters of an outage after it, if not older",
    meaning: "after an outage of the endpoint, dead letters of the outage are sent again by \
        themselves, those that died within this time; see [Automatic \
        redrive](endpoints.md#automatic-redrive)",
};

pub(super) const WEBHOOK_AUTO_REDRIVE_RATE: Setting = Setting {
    name: "WEBHOOK_AUTO_REDRIVE_RATE",
    kind: Kind::Integer {
        min: 1,
        max: RedriveRate::HIGHEST as u64,
        unit: "per second",
    },
    default: DefaultValue::Number(RedriveRate::DEFAULT as u64),
    example: "10",
    help: "dead letters that WEBHOOK_AUTO_REDRIVE redrives per second",
    meaning: "dead letters that `WEBHOOK_AUTO_REDRIVE` redrives per second",
};
