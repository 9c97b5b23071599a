//! Settings of the producer, all read and checked before any connection.

use wahook_domain::Validation;
use wahook_queue::BrokerUri;
use wahook_runtime::{
    ListenAddress, Setting, Settings, program,
    settings::{
        DefaultValue, Kind,
        shared::{AMQP_URL, RANDOM_TEXT},
    },
};

use crate::token::Tokens;

/// Largest event, in bytes: RabbitMQ 4 accepts messages of 16 MiB, including
/// their properties.
pub(crate) const LARGEST_EVENT: usize = 15 << 20;

/// Settings of `wahook-producer`.
pub const PROGRAM_SETTINGS: &[&[Setting]] = &[&[AMQP_URL], SETTINGS, program::SETTINGS];

/// Settings for accepting events.
pub const SETTINGS: &[Setting] = &[
    PRODUCER_LISTEN,
    PRODUCER_TOKEN,
    PRODUCER_MAX_BODY_BYTES,
    PRODUCER_VALIDATION,
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

const PRODUCER_MAX_BODY_BYTES: Setting = Setting {
    name: "PRODUCER_MAX_BODY_BYTES",
    kind: Kind::Integer {
        min: 1_024,
        max: LARGEST_EVENT as u64,
        unit: "bytes",
    },
    default: DefaultValue::Number(1 << 20),
    example: "1048576",
    help: "largest request body, also decompressed",
    meaning: "largest request body, both as received and decompressed",
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

#[derive(Debug)]
pub struct ProducerSettings {
    /// `AMQP_URL`
    pub broker: BrokerUri,
    /// Settings that do not depend on the queue.
    pub events: EventServiceSettings,
}

/// Settings for accepting events.
#[derive(Debug)]
pub struct EventServiceSettings {
    /// `PRODUCER_LISTEN`
    pub listen: ListenAddress,
    /// `PRODUCER_TOKEN`
    pub tokens: Tokens,
    /// `PRODUCER_MAX_BODY_BYTES`
    pub max_body_bytes: usize,
    /// `PRODUCER_VALIDATION`
    pub validation: Validation,
}

impl ProducerSettings {
    /// Reads all settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker = settings.value(&AMQP_URL);
        let events = EventServiceSettings::read(settings);
        Some(Self {
            broker: broker?,
            events: events?,
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
        let tokens = listen.map(|listen| read_tokens(settings, listen));
        let max_body_bytes = settings.value(&PRODUCER_MAX_BODY_BYTES);
        let validation = settings.value(&PRODUCER_VALIDATION);
        Some(Self {
            listen: listen?,
            tokens: tokens?,
            max_body_bytes: max_body_bytes?,
            validation: validation?,
        })
    }
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
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<EventServiceSettings, String> {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let read = ProducerSettings::read(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read.unwrap().events)
    }

    #[test]
    fn only_the_broker_address_is_required_and_defaults_are_as_documented() {
        let settings = read(&[("AMQP_URL", "amqp://127.0.0.1")]).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(settings.max_body_bytes, 1_048_576);
        assert!(settings.tokens.is_empty());
    }

    #[test]
    fn a_reachable_address_requires_a_token() {
        let open = [
            ("AMQP_URL", "amqp://127.0.0.1"),
            ("PRODUCER_LISTEN", "0.0.0.0:8080"),
        ];
        let refused = read(&open).unwrap_err();
        assert!(refused.contains("PRODUCER_TOKEN"), "{refused}");
        let guarded = [
            open[0],
            open[1],
            ("PRODUCER_TOKEN", "a-token-of-good-length"),
        ];
        assert!(!read(&guarded).unwrap().tokens.is_empty());
    }

    #[test]
    fn every_fault_is_reported_at_once_with_its_variable_and_an_example() {
        let faults = read(&[
            ("PRODUCER_LISTEN", "8080"),
            ("PRODUCER_TOKEN", "short"),
            ("PRODUCER_MAX_BODY_BYTES", "1"),
            ("PRODUCER_VALIDATION", "loose"),
        ])
        .unwrap_err();
        for expected in [
            "AMQP_URL",
            AMQP_URL.example,
            "PRODUCER_LISTEN",
            "0.0.0.0:8080",
            "PRODUCER_TOKEN",
            "PRODUCER_MAX_BODY_BYTES",
            "PRODUCER_VALIDATION",
        ] {
            assert!(
                faults.contains(expected),
                "{expected} is missing in:\n{faults}"
            );
        }
    }
}
