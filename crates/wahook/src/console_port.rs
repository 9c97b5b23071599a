//! Port of the console, which other listeners of the settings and webhooks may have.

use std::net::IpAddr;

use wahook_console::ConsoleSettings;

use crate::{StandaloneSettings, console::ADVICE};

/// Takes the settings of the console; `None` if it is off, or if its address was not given and
/// something else has its port.
pub(crate) fn leave_to_others(settings: &mut StandaloneSettings) -> Option<ConsoleSettings> {
    let console = settings.console.take()?;
    if console.is_listen_given {
        return Some(console);
    }
    let Some(user) = user_of(console.listen.socket().port(), settings) else {
        return Some(console);
    };
    let address = console.listen.to_string();
    tracing::warn!(address, user, "no console: {ADVICE}");
    None
}

/// Returns the setting or the endpoint that has a port of this machine.
fn user_of(port: u16, settings: &StandaloneSettings) -> Option<String> {
    let receiver = settings.receiver.as_ref();
    let listeners = [
        ("PRODUCER_LISTEN", Some(settings.producer.listen)),
        ("PRODUCER_METRICS_LISTEN", settings.producer.metrics_listen),
        ("CONSUMER_LISTEN", Some(settings.delivery.listen)),
        (
            "RECEIVER_ADDRESS",
            receiver.map(|receiver| receiver.address),
        ),
    ];
    let listener = listeners
        .into_iter()
        .find(|(_, address)| address.is_some_and(|address| address.socket().port() == port));
    if let Some((name, _)) = listener {
        return Some(name.to_owned());
    }
    let mut endpoints = settings.delivery.endpoints.list.iter();
    let endpoint = endpoints.find(|endpoint| {
        let host = endpoint.url.host_str();
        host.is_some_and(is_local) && endpoint.url.port_or_known_default() == Some(port)
    })?;
    Some(format!("webhook of the endpoint {}", endpoint.name))
}

/// Returns true for a host of this machine; an IPv6 address is in brackets.
fn is_local(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_runtime::Settings;

    const HOOK: (&str, &str) = ("WEBHOOK_URL", "https://example.com:8090/hook");

    fn has_console(pairs: &[(&'static str, &'static str)]) -> bool {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let mut read = StandaloneSettings::read(&mut settings).unwrap();
        settings.finish().unwrap();
        leave_to_others(&mut read).is_some()
    }

    #[test]
    fn default_port_of_the_console_is_left_to_other_listeners() {
        assert!(has_console(&[HOOK]));
        for name in [
            "PRODUCER_LISTEN",
            "PRODUCER_METRICS_LISTEN",
            "CONSUMER_LISTEN",
        ] {
            assert!(!has_console(&[HOOK, (name, "127.0.0.1:8090")]), "{name}");
        }
        assert!(!has_console(&[("RECEIVER_ADDRESS", "127.0.0.1:8090")]));
    }

    #[test]
    fn default_port_of_the_console_is_left_to_a_webhook_on_this_machine() {
        for url in [
            "http://localhost:8090/hook",
            "http://127.0.0.1:8090/hook",
            "http://[::1]:8090/hook",
        ] {
            assert!(!has_console(&[("WEBHOOK_URL", url)]), "{url}");
        }
        assert!(has_console(&[("WEBHOOK_URL", "http://127.0.0.1:8091/")]));
    }

    #[test]
    fn given_port_of_the_console_is_kept() {
        let given = ("CONSOLE_LISTEN", "127.0.0.1:8090");
        assert!(has_console(&[given, ("PRODUCER_LISTEN", "127.0.0.1:8090")]));
        assert!(!has_console(&[HOOK, ("CONSOLE_LISTEN", "off")]));
    }
}
