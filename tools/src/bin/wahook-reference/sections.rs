//! Sections of the reference, and the settings that only Docker Compose reads.

use wahook_consumer::WEBHOOK_URL;
use wahook_runtime::settings::{DefaultValue, Kind, shared};
use wahook_runtime::{Setting, program};

/// Settings under one heading.
pub(crate) struct Section {
    /// Heading, and name of the generated part of the document.
    pub(crate) title: &'static str,
    pub(crate) settings: Vec<Setting>,
}

/// Returns all sections in the order of the document.
pub(crate) fn all() -> Vec<Section> {
    let section = |title, tables: &[&[Setting]]| Section {
        title,
        settings: tables.concat(),
    };
    vec![
        section("all programs", &[program::SETTINGS]),
        section(
            "broker and log",
            &[&[shared::AMQP_URL], shared::DELIVERY_LOG],
        ),
        section("traces", &[wahook_traces::SETTINGS]),
        section(
            "producer",
            &[wahook_producer::SETTINGS, wahook_producer::SPOOL_SETTINGS],
        ),
        section("consumer", &[&[WEBHOOK_URL], wahook_consumer::SETTINGS]),
        section("console", &[wahook_console::SETTINGS]),
        section("one process", &[wahook::SETTINGS]),
        section("command line", &[wahook_cli::SETTINGS]),
        section("test receiver", &[wahook_receiver::SETTINGS]),
        section("Docker Compose only", &[COMPOSE]),
    ]
}

/// Variables of `docker-compose.yml` that no program reads.
const COMPOSE: &[Setting] = &[
    Setting {
        name: "PRODUCER_PUBLISH",
        kind: Kind::Address,
        default: DefaultValue::Text("127.0.0.1:8080"),
        example: "0.0.0.0:8080",
        help: "host address of the producer's port",
        meaning: "host address on which the port of the producer is published; `0.0.0.0:8080` for \
            all interfaces",
    },
    Setting {
        name: "WAHOOK_SECRETS",
        kind: Kind::Text("a folder (with `/`), or the name of a volume"),
        default: DefaultValue::Text("secrets"),
        example: "./secrets",
        help: "folder or volume with secrets",
        meaning: "a folder with secrets in files (`amqp_url`, `producer_token`, `webhook_secret`, \
            `grafana_password`, `rabbitmq_password`), or the name of the volume that keeps \
            generated ones",
    },
    Setting {
        name: "WAHOOK_CONFIG",
        kind: Kind::Text("a folder (with `/`)"),
        default: DefaultValue::Text("./deploy/config"),
        example: "/srv/wahook",
        help: "folder of the endpoints file",
        meaning: "the folder that consumers see as `/etc/wahook`, for the file of \
            `WEBHOOK_ENDPOINTS`. See [Several endpoints](deployment.md#several-endpoints)",
    },
    Setting {
        name: "WAHOOK_SOURCES_CONFIG",
        kind: Kind::Text("a folder (with `/`)"),
        default: DefaultValue::Text("./deploy/sources"),
        example: "/srv/wahook-sources",
        help: "folder of the sources file",
        meaning: "the folder that the producer sees as `/etc/wahook`, for the file of \
            `WAHOOK_SOURCES`. See [Gateways](deployment.md#gateways)",
    },
    Setting {
        name: "WEBHOOK_SECRET_FILE",
        kind: Kind::Text("empty, or a path in the container"),
        default: DefaultValue::Text("/run/secrets/wahook/webhook_secret"),
        example: "/run/secrets/wahook/webhook_secret",
        help: "file of the consumer's secret",
        meaning: "the file of the secret that signs requests; set it to an empty value together \
            with `WEBHOOK_ENDPOINTS`",
    },
];
