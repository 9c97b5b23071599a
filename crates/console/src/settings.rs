//! Settings of the console.

use wahook_runtime::{
    ListenAddress, Setting, Settings,
    guard::{AllowedHosts, Guard},
    settings::{DefaultValue, Kind, shared::RANDOM_TEXT},
};

mod values;

use crate::{access::Credentials, user::UserHeader};
use values::{Listen, Switch};

/// Settings of the console, also within `wahook`.
pub const SETTINGS: &[Setting] = &[
    CONSOLE_LISTEN,
    CONSOLE_TOKEN,
    CONSOLE_READ_TOKEN,
    CONSOLE_ALLOWED_HOSTS,
    CONSOLE_PAYLOADS,
    CONSOLE_USER_HEADER,
];

pub const CONSOLE_LISTEN: Setting = Setting {
    name: "CONSOLE_LISTEN",
    kind: Kind::Text("an address and port, or `off`"),
    default: DefaultValue::Text("127.0.0.1:8090"),
    example: "127.0.0.1:8090",
    help: "address and port of the console; off disables it",
    meaning: "address of the console: its page at `/` and its API below `/api/v1`. Any address \
        except loopback requires `CONSOLE_TOKEN`. `off` disables the console of `wahook`",
};

const CONSOLE_TOKEN: Setting = Setting {
    name: "CONSOLE_TOKEN",
    kind: Kind::Secret(
        "one or two tokens of 16 to 256 visible ASCII characters, separated by a comma",
    ),
    default: DefaultValue::None,
    example: RANDOM_TEXT,
    help: "token of operators, or two separated by a comma; required beyond loopback",
    meaning: "token for all actions of the console, to log in or as a bearer token; required on \
        any address except loopback. Without it every client on this machine may do everything. \
        Two tokens are valid at the same time during a change",
};

const CONSOLE_READ_TOKEN: Setting = Setting {
    name: "CONSOLE_READ_TOKEN",
    help: "token that can only read, or two separated by a comma",
    meaning: "token that reads everything and changes nothing; requires `CONSOLE_TOKEN`",
    ..CONSOLE_TOKEN
};

const CONSOLE_ALLOWED_HOSTS: Setting = Setting {
    name: "CONSOLE_ALLOWED_HOSTS",
    kind: Kind::Text("host names, separated by commas"),
    default: DefaultValue::None,
    example: "console.internal",
    help: "further host names for requests on loopback, such as the name that a proxy passes on",
    meaning: "further values of the `Host` header for requests to a loopback address, in addition \
        to `localhost` and IP addresses, such as the name that a proxy passes on",
};

const CONSOLE_PAYLOADS: Setting = Setting {
    name: "CONSOLE_PAYLOADS",
    kind: Kind::Choice(&["on", "off"]),
    default: DefaultValue::Text("on"),
    example: "on",
    help: "whether the console shows the content of events",
    meaning: "`off` hides the content of events and of receivers' answers",
};

const CONSOLE_USER_HEADER: Setting = Setting {
    name: "CONSOLE_USER_HEADER",
    kind: Kind::Text("the name of a header"),
    default: DefaultValue::None,
    example: "X-Forwarded-User",
    help: "header in which a proxy names the user, for the record of actions",
    meaning: "header in which a proxy with single sign-on names the user, for the record of \
        actions. It grants no access. The proxy must replace it in requests of clients; see \
        [Console](console.md#single-sign-on)",
};

#[derive(Debug)]
pub struct ConsoleSettings {
    /// `CONSOLE_LISTEN`
    pub listen: ListenAddress,
    /// True if the address was set; the default may be in use.
    pub is_listen_given: bool,
    /// `CONSOLE_TOKEN` and `CONSOLE_READ_TOKEN`
    pub(crate) credentials: Credentials,
    /// `CONSOLE_ALLOWED_HOSTS`
    pub(crate) allowed_hosts: AllowedHosts,
    /// `CONSOLE_PAYLOADS`
    pub(crate) shows_payloads: bool,
    /// `CONSOLE_USER_HEADER`
    pub(crate) user_header: Option<UserHeader>,
}

impl ConsoleSettings {
    /// Reads all settings of the console of `wahook`; `Some(None)` if it is off. Returns `None`
    /// only after a fault.
    pub fn read_optional(settings: &mut Settings) -> Option<Option<Self>> {
        let listen: Option<Listen> = settings.value(&CONSOLE_LISTEN);
        let is_listen_given = settings.is_given(&CONSOLE_LISTEN);
        let credentials = read_credentials(settings);
        let allowed_hosts = settings.value(&CONSOLE_ALLOWED_HOSTS);
        let payloads: Option<Switch> = settings.value(&CONSOLE_PAYLOADS);
        let user_header = settings.value(&CONSOLE_USER_HEADER);
        let Listen::At(listen) = listen? else {
            return Some(None);
        };
        let credentials = credentials?;
        if !listen.is_loopback() && credentials.is_empty() {
            let problem =
                format!("is not set, but CONSOLE_LISTEN={listen} is reachable from other machines");
            settings.fault(&CONSOLE_TOKEN, problem);
            return None;
        }
        Some(Some(Self {
            listen,
            is_listen_given,
            credentials,
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            shows_payloads: payloads? == Switch::On,
            user_header,
        }))
    }

    /// Reads all settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let read = Self::read_optional(settings)?;
        if read.is_none() {
            Self::refuse_off(settings);
        }
        read
    }

    /// Reads only the listen address.
    pub fn read_listen(settings: &mut Settings) -> Option<ListenAddress> {
        match settings.value(&CONSOLE_LISTEN)? {
            Listen::At(address) => Some(address),
            Listen::Off => {
                Self::refuse_off(settings);
                None
            }
        }
    }

    fn refuse_off(settings: &mut Settings) {
        settings.fault(&CONSOLE_LISTEN, "is off, which only wahook supports");
    }

    /// Returns the check of requests for their host and origin.
    pub(crate) fn guard(&self) -> Guard {
        let hosts = self.allowed_hosts.clone();
        Guard::new(self.listen, hosts, CONSOLE_ALLOWED_HOSTS.name)
    }
}

fn read_credentials(settings: &mut Settings) -> Option<Credentials> {
    let write = settings.secret(&CONSOLE_TOKEN);
    let read = settings.secret(&CONSOLE_READ_TOKEN);
    if read.is_some() && write.is_none() {
        settings.fault(&CONSOLE_READ_TOKEN, "is set, but CONSOLE_TOKEN is not");
        return None;
    }
    let credentials = Credentials::parse(write.as_deref(), read.as_deref());
    match credentials {
        Ok(credentials) => Some(credentials),
        Err(error) => {
            let setting = if error.is_of_reader {
                &CONSOLE_READ_TOKEN
            } else {
                &CONSOLE_TOKEN
            };
            settings.fault(setting, error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: (&str, &str) = ("CONSOLE_TOKEN", "a-token-0123456789");

    fn read(pairs: &[(&'static str, &'static str)]) -> Result<Option<ConsoleSettings>, String> {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let read = ConsoleSettings::read_optional(&mut settings);
        settings.finish().map_err(|faults| faults.to_string())?;
        Ok(read.unwrap())
    }

    #[test]
    fn default_is_an_open_loopback_listener_with_payloads() {
        let settings = read(&[]).unwrap().unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8090");
        assert!(settings.credentials.is_empty() && settings.shows_payloads);
    }

    #[test]
    fn off_disables_the_console_of_wahook_and_is_a_fault_elsewhere() {
        assert!(read(&[("CONSOLE_LISTEN", "off")]).unwrap().is_none());
        let mut settings = Settings::from_pairs([("CONSOLE_LISTEN", "off")]);
        assert!(ConsoleSettings::read(&mut settings).is_none());
        assert!(settings.finish().is_err());
    }

    #[test]
    fn listener_beyond_loopback_needs_a_token() {
        let address = ("CONSOLE_LISTEN", "0.0.0.0:8090");
        let refused = read(&[address]).unwrap_err();
        assert!(refused.contains("CONSOLE_TOKEN"), "{refused}");
        assert!(read(&[address, TOKEN]).unwrap().is_some());
    }

    #[test]
    fn faulty_tokens_are_reported_by_name_and_never_quoted() {
        for (pairs, name) in [
            (&[("CONSOLE_TOKEN", "short")][..], "CONSOLE_TOKEN"),
            (&[("CONSOLE_READ_TOKEN", TOKEN.1)], "CONSOLE_READ_TOKEN"),
            (
                &[TOKEN, ("CONSOLE_READ_TOKEN", TOKEN.1)],
                "CONSOLE_READ_TOKEN",
            ),
        ] {
            let refused = read(pairs).unwrap_err();
            assert!(refused.contains(name), "{refused}");
            assert!(!refused.contains(pairs[0].1), "{refused}");
        }
    }
}
