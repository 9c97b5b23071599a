//! Settings that more than one crate reads.

use std::{ops::RangeInclusive, time::Duration};

use super::{DefaultValue, Kind, Setting, Settings};

/// Example of a token or secret.
pub const RANDOM_TEXT: &str = "a long random text, such as `openssl rand -hex 32` prints";
/// Default time limit of a request, in milliseconds.
pub const TIMEOUT: u64 = 30_000;
/// Valid time limits of a request, in milliseconds.
pub const TIMEOUTS: RangeInclusive<u64> = 100..=300_000;

pub const AMQP_URL: Setting = Setting {
    name: "AMQP_URL",
    kind: Kind::UrlList {
        expected: "the broker's address",
        schemes: "`amqp://` or `amqps://`",
    },
    default: DefaultValue::Required,
    example: "amqp://guest:guest@127.0.0.1:5672/%2f",
    help: "broker, amqp://user:password@host:5672/%2f; several hosts separated by commas",
    meaning: "the broker, `amqp://user:password@host:5672/%2f`. Several hosts of a cluster are \
        separated by commas: `amqp://user:password@a:5672,b:5672/%2f`, or several such addresses. \
        Each connection starts at another of them. The query parameters `heartbeat` \
        (seconds, default 5) and `frame_max` (bytes, default 16384) are accepted",
};

pub const MONGODB_URI: Setting = Setting {
    name: "MONGODB_URI",
    kind: Kind::Url {
        expected: "the URI of a MongoDB server",
        schemes: "`mongodb://` or `mongodb+srv://`",
    },
    default: DefaultValue::Required,
    example: "mongodb://127.0.0.1:27017/?replicaSet=rs0",
    help: "MongoDB server of the delivery log",
    meaning: "a replica set with the delivery log, such as \
        `mongodb://127.0.0.1:27017/?replicaSet=rs0`. The write concern in the URI is not used: \
        the log always requests majority and journal",
};

pub const MONGODB_DATABASE: Setting = Setting {
    name: "MONGODB_DATABASE",
    kind: Kind::Text("a database name"),
    default: DefaultValue::Text("whatsapp-api"),
    example: "whatsapp-api",
    help: "database of the delivery log",
    meaning: "database of the collection `webhooklogs`",
};

pub const WEBHOOK_TIMEOUT: Setting = Setting {
    name: "WEBHOOK_TIMEOUT",
    kind: Kind::Integer {
        min: *TIMEOUTS.start(),
        max: *TIMEOUTS.end(),
        unit: "milliseconds",
    },
    default: DefaultValue::Number(TIMEOUT),
    example: "30000",
    help: "time limit of a request and its whole response",
    meaning: "time limit of name look-up, connect, TLS, request and the header section of the answer",
};

pub const WEBHOOK_SECRET: Setting = Setting {
    name: "WEBHOOK_SECRET",
    kind: Kind::Secret("not empty"),
    default: DefaultValue::None,
    example: RANDOM_TEXT,
    help: "signs every request",
    meaning: "signs every request; without it, requests have no signature. Receivers use it \
        exactly as written here; for Standard Webhooks libraries use the form `whsec_<base64>`",
};

/// Reads `WEBHOOK_TIMEOUT`. Returns `None` only after a fault.
pub fn read_timeout(settings: &mut Settings) -> Option<Duration> {
    settings.value(&WEBHOOK_TIMEOUT).map(Duration::from_millis)
}

/// Location of the delivery log in MongoDB.
pub const DELIVERY_LOG: &[Setting] = &[MONGODB_URI, MONGODB_DATABASE];
