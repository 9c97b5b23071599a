//! Settings of the producer, all read and checked before any connection.

use std::{path::PathBuf, time::Duration};

use wahook_domain::{LARGEST_EVENT, Validation};
use wahook_queue::BrokerUri;
use wahook_runtime::{
    ListenAddress, Setting, Settings,
    guard::AllowedHosts,
    program,
    settings::{
        DefaultValue, Kind,
        shared::{AMQP_URL, RANDOM_TEXT},
    },
    tokens::Tokens,
};
use wahook_traces::TraceSettings;

use crate::sources::{SourceSettings, SourcesFile};

mod spool;

pub use spool::{SPOOL_SETTINGS, SpoolSettings};

/// Copies of an event in memory at most: as received, as parsed, and twice as published.
const COPIES: usize = 4;

/// Settings of `wahook-producer`.
pub const PROGRAM_SETTINGS: &[&[Setting]] = &[
    &[AMQP_URL],
    SETTINGS,
    SPOOL_SETTINGS,
    wahook_traces::SETTINGS,
    program::SETTINGS,
];

/// Settings for accepting events.
pub const SETTINGS: &[Setting] = &[
    PRODUCER_LISTEN,
    PRODUCER_METRICS_LISTEN,
    PRODUCER_TOKEN,
    PRODUCER_ALLOWED_HOSTS,
    PRODUCER_MAX_BODY_BYTES,
    PRODUCER_MEMORY_BUDGET_BYTES,
    PRODUCER_VALIDATION,
    PRODUCER_KEEP_EXACT,
    PRODUCER_DUPLICATE_WINDOW,
    WAHOOK_SOURCES,
];

const PRODUCER_LISTEN: Setting = Setting {
    name: "PRODUCER_LISTEN",
    kind: Kind::Address,
    default: DefaultValue::Text("127.0.0.1:8080"),
    example: "0.0.0.0:8080",
    help: "address and port for events",
    meaning: "address of `POST /v1/events`, `/openapi.json`, `/livez`, `/readyz`, `/metrics`; any \
        address except loopback requires `PRODUCER_TOKEN`",
};

const PRODUCER_METRICS_LISTEN: Setting = Setting {
    name: "PRODUCER_METRICS_LISTEN",
    kind: Kind::Address,
    default: DefaultValue::None,
    example: "0.0.0.0:9090",
    help: "separate address and port for /metrics, /livez and /readyz",
    meaning: "separate address of `/metrics`, which `PRODUCER_LISTEN` then no longer serves, and \
        also of `/livez` and `/readyz`; the image sets it to `0.0.0.0:9090`",
};

const PRODUCER_TOKEN: Setting = Setting {
    name: "PRODUCER_TOKEN",
    kind: Kind::Secret(
        "one or two tokens of 16 to 256 visible ASCII characters, separated by a comma",
    ),
    default: DefaultValue::None,
    example: RANDOM_TEXT,
    help: "bearer token, or two separated by a comma; required beyond loopback",
    meaning: "bearer token for gateways; required on any address except loopback. Two tokens are \
        valid at the same time while gateways change over",
};

pub(crate) const PRODUCER_ALLOWED_HOSTS: Setting = Setting {
    name: "PRODUCER_ALLOWED_HOSTS",
    kind: Kind::Text("host names, separated by commas"),
    default: DefaultValue::None,
    example: "wahook.internal",
    help: "further host names for requests on loopback, such as the name that a proxy passes on",
    meaning: "further values of the `Host` header for requests to a loopback address, in addition \
        to `localhost` and IP addresses, such as the name that a proxy passes on. Not needed for \
        events if `PRODUCER_TOKEN` is set. Protects against web pages in a browser on this machine",
};

const PRODUCER_MAX_BODY_BYTES: Setting = Setting {
    name: "PRODUCER_MAX_BODY_BYTES",
    kind: Kind::Integer {
        min: 1_024,
        max: LARGEST_EVENT as u64,
        unit: "bytes",
    },
    default: DefaultValue::Number(LARGEST_EVENT as u64),
    example: "15728640",
    help: "largest request body, also decompressed",
    meaning: "largest request body, both as received and decompressed",
};

const PRODUCER_MEMORY_BUDGET_BYTES: Setting = Setting {
    name: "PRODUCER_MEMORY_BUDGET_BYTES",
    kind: Kind::Integer {
        min: 4_096,
        max: 64 << 30,
        unit: "bytes",
    },
    default: DefaultValue::Number(256 << 20),
    example: "268435456",
    help: "memory for the events of all requests, at least 4 times the largest body",
    meaning: "memory for the events of all requests together, from the first byte to the confirm; \
        beyond it requests are answered 503. At least 4 times `PRODUCER_MAX_BODY_BYTES`: an event \
        is in memory as received, as parsed, and twice while it is published",
};

const PRODUCER_VALIDATION: Setting = Setting {
    name: "PRODUCER_VALIDATION",
    kind: Kind::Choice(&["lenient", "strict"]),
    default: DefaultValue::Text("lenient"),
    example: "lenient",
    help: "check of documented events",
    meaning: "`lenient` accepts documented events whose data differs from the documentation and \
        lists `warnings`; `strict` answers 422",
};

const PRODUCER_KEEP_EXACT: Setting = Setting {
    name: "PRODUCER_KEEP_EXACT",
    kind: Kind::Flag,
    default: DefaultValue::Flag(false),
    example: "true",
    help: "publish bodies as sent, for endpoints with body exact",
    meaning: "publishes the bodies of `POST /v1/events` as they were sent, for endpoints with \
        `body = \"exact\"`, see [Bodies](endpoints.md#bodies). Update all consumers before. \
        `wahook` does so if an endpoint has it at the start",
};

const PRODUCER_DUPLICATE_WINDOW: Setting = Setting {
    name: "PRODUCER_DUPLICATE_WINDOW",
    kind: Kind::Integer {
        min: 1,
        max: 86_400,
        unit: "seconds",
    },
    default: DefaultValue::Number(600),
    example: "600",
    help: "time for which a repeat of an event is recognised",
    meaning: "time for which an event with the same id is answered 200 and not published again. At most \
        450,000 ids are remembered, and none across a restart of the producer",
};

const WAHOOK_SOURCES: Setting = Setting {
    name: "WAHOOK_SOURCES",
    kind: Kind::Path,
    default: DefaultValue::None,
    example: "/etc/wahook/sources.toml",
    help: "TOML file of the gateways that post to /v1/in/NAME; SIGHUP reloads it",
    meaning: "TOML file of the gateways that post in their own form to `/v1/in/NAME`, see \
        [Gateways](gateways/README.md); SIGHUP reloads it. Without it there is a source for each kind, \
        with the name of the kind",
};

#[derive(Debug)]
pub struct ProducerSettings {
    /// `AMQP_URL`
    pub broker: BrokerUri,
    /// Settings that do not depend on the queue.
    pub events: EventServiceSettings,
    /// `PRODUCER_SPOOL`
    pub spool: Option<SpoolSettings>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and its companions
    pub traces: TraceSettings,
}

/// Settings for accepting events.
#[derive(Debug)]
pub struct EventServiceSettings {
    /// `PRODUCER_LISTEN`
    pub listen: ListenAddress,
    /// `PRODUCER_METRICS_LISTEN`
    pub metrics_listen: Option<ListenAddress>,
    /// `PRODUCER_TOKEN`
    pub tokens: Tokens,
    /// `PRODUCER_ALLOWED_HOSTS`
    pub allowed_hosts: AllowedHosts,
    /// `PRODUCER_MAX_BODY_BYTES`
    pub max_body_bytes: usize,
    /// `PRODUCER_MEMORY_BUDGET_BYTES`
    pub memory_budget_bytes: usize,
    /// `PRODUCER_VALIDATION`
    pub validation: Validation,
    /// `PRODUCER_KEEP_EXACT`
    pub keep_exact: bool,
    /// `PRODUCER_DUPLICATE_WINDOW`
    pub duplicate_window: Duration,
    /// `WAHOOK_SOURCES`
    pub sources: SourceSettings,
}

impl ProducerSettings {
    /// Reads all settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker = settings.value(&AMQP_URL);
        let events = EventServiceSettings::read(settings);
        let spool = SpoolSettings::read(settings);
        let traces = TraceSettings::read(settings);
        Some(Self {
            broker: broker?,
            events: events?,
            spool,
            traces,
        })
    }

    /// Reads only the listen address.
    pub fn read_listen(settings: &mut Settings) -> Option<ListenAddress> {
        settings.value(&PRODUCER_LISTEN)
    }
}

impl EventServiceSettings {
    /// Reads all settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let listen = ProducerSettings::read_listen(settings);
        let metrics_listen = settings.value(&PRODUCER_METRICS_LISTEN);
        let tokens = listen.map(|listen| read_tokens(settings, listen));
        let allowed_hosts = settings.value(&PRODUCER_ALLOWED_HOSTS);
        let max_body_bytes = settings.value(&PRODUCER_MAX_BODY_BYTES);
        let memory_budget_bytes = settings.value(&PRODUCER_MEMORY_BUDGET_BYTES);
        check_budget(settings, max_body_bytes, memory_budget_bytes);
        let validation = settings.value(&PRODUCER_VALIDATION);
        let keep_exact = settings.flag(&PRODUCER_KEEP_EXACT);
        let window: Option<u64> = settings.value(&PRODUCER_DUPLICATE_WINDOW);
        let sources = read_sources(settings);
        Some(Self {
            listen: listen?,
            metrics_listen,
            tokens: tokens?,
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            max_body_bytes: max_body_bytes?,
            memory_budget_bytes: memory_budget_bytes?,
            validation: validation?,
            keep_exact,
            duplicate_window: Duration::from_secs(window?),
            sources,
        })
    }
}

/// Checks that the largest event fits into the budget.
fn check_budget(settings: &mut Settings, largest: Option<usize>, budget: Option<usize>) {
    let (Some(largest), Some(budget)) = (largest, budget) else {
        return;
    };
    let least = COPIES * largest;
    if budget < least {
        let problem = format!(
            "is {budget}, but must be at least {least}: {COPIES} times \
             PRODUCER_MAX_BODY_BYTES={largest}"
        );
        settings.fault(&PRODUCER_MEMORY_BUDGET_BYTES, problem);
    }
}

/// Reads the sources. The file is checked as a whole.
fn read_sources(settings: &mut Settings) -> SourceSettings {
    let Some(path) = settings.value::<String>(&WAHOOK_SOURCES) else {
        return SourceSettings::default();
    };
    let file = SourcesFile {
        path: PathBuf::from(path),
    };
    let place = format!("{}={}", WAHOOK_SOURCES.name, file.path.display());
    let (sources, faults) = SourceSettings::read(file);
    for fault in faults {
        settings.fault_at(&place, fault.to_string());
    }
    sources
}

fn read_tokens(settings: &mut Settings, listen: ListenAddress) -> Tokens {
    match settings
        .secret(&PRODUCER_TOKEN)
        .map(|list| Tokens::parse(&list))
    {
        Some(Ok(tokens)) => tokens,
        Some(Err(error)) => {
            settings.fault(&PRODUCER_TOKEN, error.to_string());
            Tokens::default()
        }
        None if listen.is_loopback() => Tokens::default(),
        None => {
            let problem = format!(
                "is not set, but PRODUCER_LISTEN={listen} is reachable from other machines"
            );
            settings.fault(&PRODUCER_TOKEN, problem);
            Tokens::default()
        }
    }
}

#[cfg(test)]
mod tests;
