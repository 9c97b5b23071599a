//! Settings of the producer, all read and checked before any connection.

use wahook_domain::Validation;
use wahook_queue::BrokerUri;
use wahook_runtime::{ListenAddress, Settings};

use crate::token::Tokens;

/// Largest event, in bytes: RabbitMQ 4 accepts messages of 16 MiB, including
/// their properties.
pub(crate) const LARGEST_EVENT: usize = 15 << 20;

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
    /// Reads all settings. Faults are recorded in `settings`; without a valid
    /// broker address there is no result.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker =
            settings.required_parsed("AMQP_URL", "the broker's address", BrokerUri::EXAMPLE);
        let events = EventServiceSettings::read(settings);
        Some(Self {
            broker: broker?,
            events,
        })
    }

    /// Reads only the listen address.
    pub fn read_listen(settings: &mut Settings) -> ListenAddress {
        settings.parsed(
            "PRODUCER_LISTEN",
            ListenAddress::loopback(8080),
            "an address and port",
            "0.0.0.0:8080",
        )
    }
}

impl EventServiceSettings {
    /// Reads all settings; faults are recorded in `settings`.
    pub fn read(settings: &mut Settings) -> Self {
        let listen = ProducerSettings::read_listen(settings);
        let tokens = read_tokens(settings, listen);
        let max_body_bytes = settings.in_range(
            "PRODUCER_MAX_BODY_BYTES",
            1 << 20,
            1_024..=LARGEST_EVENT,
            "1048576",
        );
        let validation = settings.parsed(
            "PRODUCER_VALIDATION",
            Validation::Lenient,
            "lenient or strict",
            "lenient",
        );
        Self {
            listen,
            tokens,
            max_body_bytes,
            validation,
        }
    }
}

fn read_tokens(settings: &mut Settings, listen: ListenAddress) -> Tokens {
    const NAME: &str = "PRODUCER_TOKEN";
    const EXAMPLE: &str = "a long random text, such as `openssl rand -hex 32` prints";
    match settings.secret(NAME).map(|list| Tokens::parse(&list)) {
        Some(Ok(tokens)) => tokens,
        Some(Err(error)) => {
            settings.fault(NAME, error.to_string(), EXAMPLE);
            Tokens::default()
        }
        None if listen.is_loopback() => Tokens::default(),
        None => {
            let problem = format!(
                "is not set, but PRODUCER_LISTEN={listen} is reachable from other machines"
            );
            settings.fault(NAME, problem, EXAMPLE);
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
            BrokerUri::EXAMPLE,
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
