//! Settings of the delivery log.

use wahook_runtime::{
    Setting,
    settings::{DefaultValue, Kind},
};

/// A TTL index counts seconds in 31 bits.
pub(super) const LOG_RETENTION_DAYS: Setting = Setting {
    name: "LOG_RETENTION_DAYS",
    kind: Kind::Integer {
        min: 1,
        max: 24_855,
        unit: "days",
    },
    default: DefaultValue::None,
    example: "90",
    help: "time after which log records are removed, if set",
    meaning: "time from acceptance after which log records are removed; without it, they are kept",
};

pub(super) const LOG_REDACT: Setting = Setting {
    name: "LOG_REDACT",
    kind: Kind::Text("rules such as `message=/data/body,/data/author;*=/data/from`"),
    default: DefaultValue::None,
    example: "message=/data/body,/data/author;*=/data/from",
    help: "values that log records do not keep, by event and JSON pointer",
    meaning: "values of events that log records do not keep, by event name or pattern and JSON \
        pointer; deliveries are unchanged. See [Privacy](privacy.md#redaction)",
};
