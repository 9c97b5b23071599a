//! Declarations of the consumer's settings.

use std::ops::RangeInclusive;
use wahook_domain::{LaneCount, RateLimit};
use wahook_runtime::{
    Setting, program,
    settings::{
        DefaultValue, Kind,
        shared::{AMQP_URL, DELIVERY_LOG, RANDOM_TEXT, WEBHOOK_SECRET, WEBHOOK_TIMEOUT},
    },
};

use super::connection_settings::{
    ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY, WEBHOOK_ALLOW_HTTP, WEBHOOK_ALLOW_LINK_LOCAL,
    WEBHOOK_BLOCK_PRIVATE, WEBHOOK_CONNECTION_AGE, WEBHOOK_FOLLOW_REDIRECTS,
};
use super::log_settings::{LOG_REDACT, LOG_RETENTION_DAYS};
use super::retry_settings::{
    WEBHOOK_AUTO_REDRIVE, WEBHOOK_AUTO_REDRIVE_RATE, WEBHOOK_RETRY_ATTEMPTS, WEBHOOK_RETRY_DELAY,
    WEBHOOK_RETRY_SCHEDULE,
};

/// Defaults of an endpoint.
pub(super) const CONCURRENCY: u16 = 128;
pub(super) const LANES: u8 = 4;
/// Valid numbers of requests in flight.
pub(super) const CONCURRENCIES: RangeInclusive<u16> = 1..=4_096;

/// Settings of `wahook-consumer`.
pub const PROGRAM_SETTINGS: &[&[Setting]] = &[
    &[AMQP_URL, WEBHOOK_URL],
    SETTINGS,
    DELIVERY_LOG,
    wahook_traces::SETTINGS,
    program::SETTINGS,
];

/// Settings of the deliveries, except `WEBHOOK_URL`.
pub const SETTINGS: &[Setting] = &[
    WEBHOOK_ENDPOINTS,
    WEBHOOK_SECRET,
    WEBHOOK_SECRET_PREVIOUS,
    WEBHOOK_SIGNATURE_SECRET,
    WEBHOOK_HIDE_URL,
    WEBHOOK_RETRY_ATTEMPTS,
    WEBHOOK_RETRY_DELAY,
    WEBHOOK_RETRY_SCHEDULE,
    WEBHOOK_AUTO_REDRIVE,
    WEBHOOK_AUTO_REDRIVE_RATE,
    WEBHOOK_TIMEOUT,
    WEBHOOK_CONCURRENCY,
    WEBHOOK_RATE_LIMIT,
    WEBHOOK_BODY,
    WEBHOOK_FOLLOW_REDIRECTS,
    WEBHOOK_ORDER,
    WEBHOOK_LANES,
    WEBHOOK_ON_EXHAUSTED,
    WEBHOOK_CIRCUIT,
    WEBHOOK_ALLOW_HTTP,
    WEBHOOK_BLOCK_PRIVATE,
    WEBHOOK_ALLOW_LINK_LOCAL,
    WEBHOOK_CONNECTION_AGE,
    HTTPS_PROXY,
    HTTP_PROXY,
    ALL_PROXY,
    NO_PROXY,
    LOG_RETENTION_DAYS,
    LOG_REDACT,
    CONSUMER_LISTEN,
    CONSUMER_ALLOWED_HOSTS,
    CONSUMER_MEMORY_BUDGET_BYTES,
];

/// Settings of the single endpoint; invalid together with a file.
pub(super) const ONE_ENDPOINT: [Setting; 18] = [
    WEBHOOK_URL,
    WEBHOOK_HIDE_URL,
    WEBHOOK_SECRET,
    WEBHOOK_SECRET_PREVIOUS,
    WEBHOOK_SIGNATURE_SECRET,
    WEBHOOK_RETRY_ATTEMPTS,
    WEBHOOK_RETRY_DELAY,
    WEBHOOK_RETRY_SCHEDULE,
    WEBHOOK_AUTO_REDRIVE,
    WEBHOOK_AUTO_REDRIVE_RATE,
    WEBHOOK_TIMEOUT,
    WEBHOOK_CONCURRENCY,
    WEBHOOK_RATE_LIMIT,
    WEBHOOK_BODY,
    WEBHOOK_FOLLOW_REDIRECTS,
    WEBHOOK_ORDER,
    WEBHOOK_LANES,
    WEBHOOK_ON_EXHAUSTED,
];

pub const WEBHOOK_URL: Setting = Setting {
    name: "WEBHOOK_URL",
    kind: Kind::Url {
        expected: "a URL",
        schemes: "`https://`; `http://` on loopback, or with `WEBHOOK_ALLOW_HTTP`",
    },
    default: DefaultValue::RequiredUnless(WEBHOOK_ENDPOINTS.name),
    example: "https://example.com/webhook",
    help: "URL that receives the events",
    meaning: "the endpoint that receives all events; its name is `default`. A login in the URL is sent as \
        Basic authentication and never shown",
};

pub const WEBHOOK_ENDPOINTS: Setting = Setting {
    name: "WEBHOOK_ENDPOINTS",
    kind: Kind::Path,
    default: DefaultValue::None,
    example: "/etc/wahook/endpoints.toml",
    help: "TOML file of several endpoints; SIGHUP reloads it",
    meaning: "TOML file with several endpoints, see [Endpoints](endpoints.md); SIGHUP reloads it. \
        An error together with `WEBHOOK_URL`, `WEBHOOK_HIDE_URL`, `WEBHOOK_SECRET`, \
        `WEBHOOK_SECRET_PREVIOUS`, `WEBHOOK_SIGNATURE_SECRET`, `WEBHOOK_RETRY_ATTEMPTS`, \
        `WEBHOOK_RETRY_DELAY`, `WEBHOOK_RETRY_SCHEDULE`, `WEBHOOK_AUTO_REDRIVE`, \
        `WEBHOOK_AUTO_REDRIVE_RATE`, `WEBHOOK_TIMEOUT`, `WEBHOOK_CONCURRENCY`, \
        `WEBHOOK_RATE_LIMIT`, `WEBHOOK_BODY`, `WEBHOOK_FOLLOW_REDIRECTS`, `WEBHOOK_ORDER`, \
        `WEBHOOK_LANES` or `WEBHOOK_ON_EXHAUSTED`",
};

pub(super) const WEBHOOK_SECRET_PREVIOUS: Setting = Setting {
    name: "WEBHOOK_SECRET_PREVIOUS",
    kind: Kind::Secret("not empty"),
    default: DefaultValue::None,
    example: RANDOM_TEXT,
    help: "signs too, while receivers change to the new secret",
    meaning: "additional signature in `webhook-signature` while receivers change over; requires \
        `WEBHOOK_SECRET`",
};

pub(super) const WEBHOOK_SIGNATURE_SECRET: Setting = Setting {
    name: "WEBHOOK_SIGNATURE_SECRET",
    kind: Kind::Choice(&["current", "previous"]),
    default: DefaultValue::Text("current"),
    example: "previous",
    help: "secret of X-Webhook-Signature during a rotation",
    meaning: "secret of `X-Webhook-Signature`, which has room for one signature: `current` is \
        `WEBHOOK_SECRET`, `previous` is `WEBHOOK_SECRET_PREVIOUS`, see [Rotate a \
        secret](verifying-signatures.md#rotate-a-secret)",
};

pub(super) const WEBHOOK_HIDE_URL: Setting = Setting {
    name: "WEBHOOK_HIDE_URL",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "show a hash instead of the path of WEBHOOK_URL",
    meaning: "shows a short hash instead of the path of `WEBHOOK_URL`, in the log and in \
        `webhookUrl`. For a URL whose path is itself a secret",
};

pub(super) const WEBHOOK_CONCURRENCY: Setting = Setting {
    name: "WEBHOOK_CONCURRENCY",
    kind: Kind::Integer {
        min: *CONCURRENCIES.start() as u64,
        max: *CONCURRENCIES.end() as u64,
        unit: "",
    },
    default: DefaultValue::Number(CONCURRENCY as u64),
    example: "128",
    help: "requests in flight at once",
    meaning: "requests in flight at once, per consumer",
};

pub(super) const WEBHOOK_RATE_LIMIT: Setting = Setting {
    name: "WEBHOOK_RATE_LIMIT",
    kind: Kind::Text(RateLimit::FORM),
    default: DefaultValue::None,
    example: "20",
    help: "requests per second, all consumers together",
    meaning: "requests per second, of all consumers together; see [Rate \
        limits](endpoints.md#rate-limits)",
};

pub(super) const WEBHOOK_BODY: Setting = Setting {
    name: "WEBHOOK_BODY",
    kind: Kind::Choice(&["canonical", "exact"]),
    default: DefaultValue::Text("canonical"),
    example: "exact",
    help: "form of the bodies",
    meaning: "`canonical` sends the output of `JSON.stringify`, `exact` the bytes as the gateway \
        sent them, with `PRODUCER_KEEP_EXACT`, see [Bodies](endpoints.md#bodies)",
};

/// Values of `order`.
pub(super) const ORDERS: &str = "\"none\", \"chat\" or \"session\"";

pub(super) const WEBHOOK_ORDER: Setting = Setting {
    name: "WEBHOOK_ORDER",
    kind: Kind::Choice(&["none", "chat", "session"]),
    default: DefaultValue::Text("none"),
    example: "chat",
    help: "events that are delivered one after another",
    meaning: "`chat` delivers the events of a chat one after another, in the order of their \
        acceptance, `session` those of a session, see [Order](endpoints.md#order)",
};

pub(super) const WEBHOOK_LANES: Setting = Setting {
    name: "WEBHOOK_LANES",
    kind: Kind::Integer {
        min: 1,
        max: LaneCount::MAX.get() as u64,
        unit: "",
    },
    default: DefaultValue::Number(LANES as u64),
    example: "4",
    help: "queues among which the chats are divided; without WEBHOOK_ORDER the default is 1",
    meaning: "queues among which the chats are divided. If `WEBHOOK_ORDER` is `chat`, each is \
        served by one consumer at a time. Without an order the default is 1, see \
        [Lanes without an order](endpoints.md#lanes-without-an-order). `wahook` has one",
};

/// Values of `on_exhausted`.
pub(super) const EXHAUSTED: &str = "\"continue\" or \"hold\"";

pub(super) const WEBHOOK_ON_EXHAUSTED: Setting = Setting {
    name: "WEBHOOK_ON_EXHAUSTED",
    kind: Kind::Choice(&["continue", "hold"]),
    default: DefaultValue::Text("continue"),
    example: "hold",
    help: "fate of an event with exhausted retries, if WEBHOOK_ORDER is set",
    meaning: "with `WEBHOOK_ORDER`: `continue` makes a dead letter of an event whose retries are \
        exhausted, `hold` retries it, and holds the later events of its chat back, see [Held \
        events](endpoints.md#held-events)",
};

pub(super) const WEBHOOK_CIRCUIT: Setting = Setting {
    name: "WEBHOOK_CIRCUIT",
    kind: Kind::Choice(&["on", "off"]),
    default: DefaultValue::Text("on"),
    example: "off",
    help: "pause an endpoint that is down",
    meaning: "`on` pauses an endpoint that is down, see [Pauses](endpoints.md#pauses). `off`: no \
        endpoint is ever paused, also if the endpoints file says otherwise; events of an endpoint \
        that is down become dead letters after their retries",
};

pub(super) const CONSUMER_MEMORY_BUDGET_BYTES: Setting = Setting {
    name: "CONSUMER_MEMORY_BUDGET_BYTES",
    kind: Kind::Integer {
        min: 1 << 20,
        max: 64 << 30,
        unit: "bytes",
    },
    default: DefaultValue::Number(64 << 20),
    example: "67108864",
    help: "memory for prefetched events, all endpoints together",
    meaning: "memory for the events that are prefetched and in flight, all endpoints without an order \
        together; each has an equal share, and one event always fits, see [Memory of a \
        consumer](deployment.md#memory-of-a-consumer)",
};

pub(super) const CONSUMER_LISTEN: Setting = Setting {
    name: "CONSUMER_LISTEN",
    kind: Kind::Address,
    default: DefaultValue::Text("127.0.0.1:9091"),
    example: "0.0.0.0:9091",
    help: "address and port of the consumer's /livez, /readyz and /metrics",
    meaning: "address of `/livez`, `/readyz`, `/metrics`",
};

pub(crate) const CONSUMER_ALLOWED_HOSTS: Setting = Setting {
    name: "CONSUMER_ALLOWED_HOSTS",
    kind: Kind::Text("host names, separated by commas"),
    default: DefaultValue::None,
    example: "wahook.internal",
    help: "further host names for CONSUMER_LISTEN on loopback",
    meaning: "as `PRODUCER_ALLOWED_HOSTS`, for `CONSUMER_LISTEN`",
};
