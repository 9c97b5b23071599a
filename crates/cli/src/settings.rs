//! Address and token of the producer, from options or the environment.

use clap::Args;
use std::{fmt, str::FromStr};
use url::{Host, Url};
use wahook_runtime::{
    Setting, Settings,
    settings::{DefaultValue, Kind, redact_url, shared::RANDOM_TEXT},
};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// Settings for access to the producer.
pub const SETTINGS: &[Setting] = &[WAHOOK_URL, WAHOOK_TOKEN];

const WAHOOK_URL: Setting = Setting {
    name: "WAHOOK_URL",
    kind: Kind::Url {
        expected: "the URL of a producer",
        schemes: "`http://` or `https://`, without `?` and `#`",
    },
    default: DefaultValue::Text(DEFAULT_URL),
    example: DEFAULT_URL,
    help: "producer for send, import and samples",
    meaning: "the producer, for `send`, `import` and `samples`; `--url` takes precedence",
};

const WAHOOK_TOKEN: Setting = Setting {
    name: "WAHOOK_TOKEN",
    kind: Kind::Secret("text"),
    default: DefaultValue::None,
    example: RANDOM_TEXT,
    help: "bearer token of the producer, if it requires one",
    meaning: "one of the tokens of `PRODUCER_TOKEN`; `--token` takes precedence",
};

/// Options for access to the producer.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProducerOptions {
    /// URL of the producer [default: WAHOOK_URL, else http://127.0.0.1:8080]
    #[arg(long, value_name = "URL")]
    url: Option<ProducerUrl>,
    /// Token of the producer [default: WAHOOK_TOKEN, or the file that WAHOOK_TOKEN_FILE names]
    ///
    /// Other users of the machine can read a command line, but not the environment.
    #[arg(long)]
    token: Option<Token>,
}

/// Address and token of the producer, from options and environment.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    pub(crate) url: ProducerUrl,
    pub(crate) token: Option<Token>,
}

impl ProducerOptions {
    /// Reads missing options from the environment; faults are recorded in `settings`.
    ///
    /// A `.env` file comes with its folder. It must not decide where a token from elsewhere
    /// is sent: both come from the file, or the URL is on this machine.
    pub(crate) fn read(self, settings: &mut Settings) -> Option<Access> {
        let is_url_of_folder = self.url.is_none() && settings.is_in_dotenv(&WAHOOK_URL);
        let is_token_of_folder = self.token.is_none() && settings.is_value_in_dotenv(&WAHOOK_TOKEN);
        let url = match self.url {
            Some(url) => Some(url),
            None => settings.value(&WAHOOK_URL),
        };
        let token = self
            .token
            .or_else(|| settings.secret(&WAHOOK_TOKEN).map(Token));
        let is_sent_elsewhere = url.as_ref().is_some_and(|url| !url.is_loopback());
        if is_url_of_folder && !is_token_of_folder && token.is_some() && is_sent_elsewhere {
            let problem = "comes from the file .env of this folder, but the token does not, so \
                           the token is not sent there: use --url, or set WAHOOK_URL in the \
                           environment, or WAHOOK_TOKEN in .env too";
            settings.fault_at(WAHOOK_URL.name, problem);
        }
        Some(Access { url: url?, token })
    }
}

/// Base URL of a producer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProducerUrl(Url);

/// Text that is not the base URL of a producer.
#[derive(Debug, thiserror::Error)]
#[error("not an address such as {DEFAULT_URL} (http or https, without ? and #)")]
pub(crate) struct InvalidProducerUrl;

impl ProducerUrl {
    /// Returns true if the producer is on this machine.
    fn is_loopback(&self) -> bool {
        match self.0.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    /// Returns the URL that accepts events.
    pub(crate) fn events(&self) -> Url {
        let mut url = self.0.clone();
        let path = format!("{}/v1/events", url.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

impl FromStr for ProducerUrl {
    type Err = InvalidProducerUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| InvalidProducerUrl)?;
        let is_http = matches!(url.scheme(), "http" | "https");
        if is_http && url.query().is_none() && url.fragment().is_none() {
            Ok(Self(url))
        } else {
            Err(InvalidProducerUrl)
        }
    }
}

/// Shows the URL without password.
impl fmt::Display for ProducerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(redact_url(self.0.as_str()).trim_end_matches('/'))
    }
}

/// Token of a producer, never shown.
#[derive(Clone)]
pub(crate) struct Token(pub(crate) String);

impl FromStr for Token {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(url: &str) -> String {
        url.parse::<ProducerUrl>().unwrap().events().into()
    }

    #[test]
    fn events_are_sent_below_the_base_url() {
        assert_eq!(events(DEFAULT_URL), "http://127.0.0.1:8080/v1/events");
        for url in ["https://example.com/hooks", "https://example.com/hooks/"] {
            assert_eq!(events(url), "https://example.com/hooks/v1/events");
        }
        for bad in [
            "",
            "localhost:8080",
            "ftp://a",
            "http://a?x=1",
            "http://a#b",
        ] {
            assert!(bad.parse::<ProducerUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        let is_loopback = |url: &str| url.parse::<ProducerUrl>().unwrap().is_loopback();
        for url in [
            "http://127.1.2.3:1",
            "http://[::1]:8080",
            "http://localhost",
        ] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://localhost.example.com",
            "http://127.0.0.1@example.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn option_overrides_the_environment_and_the_token_is_never_shown() {
        let nothing = ProducerOptions {
            url: None,
            token: None,
        };
        let environment = [
            ("WAHOOK_URL", "https://example.com"),
            ("WAHOOK_TOKEN", "s3cret"),
        ];
        let mut settings = Settings::from_pairs(environment);
        let access = nothing.clone().read(&mut settings).unwrap();
        assert_eq!(access.url.to_string(), "https://example.com");
        assert_eq!(access.token.as_ref().unwrap().0, "s3cret");
        assert!(!format!("{access:?}").contains("s3cret"));
        let given = ProducerOptions {
            url: Some("http://127.0.0.1:9".parse().unwrap()),
            token: Some(Token("other".to_owned())),
        };
        let access = given.read(&mut Settings::from_pairs(environment)).unwrap();
        assert_eq!(access.url.to_string(), "http://127.0.0.1:9");
        assert_eq!(access.token.unwrap().0, "other");
        let access = nothing.read(&mut Settings::from_pairs([("A", "b")]));
        assert_eq!(access.unwrap().url.to_string(), DEFAULT_URL);
    }
}
