//! Egress proxies: of an endpoint, or of the environment.

use hyper::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::Url;
use std::{fmt, str::FromStr, sync::Arc};
use wahook_runtime::settings::toml_table::Table;
use wahook_runtime::{Setting, Settings, settings::redact_url};

use super::{
    connection_settings::{ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, NO_PROXY},
    url::is_loopback,
};

/// Names that are read before those in capitals, as other programs do.
const IN_LOWER_CASE: [&str; 4] = ["all_proxy", "http_proxy", "https_proxy", "no_proxy"];
/// Value of the field `proxy` for direct connections.
const NONE: &str = "none";

/// URL of a proxy. `Display` and `Debug` hide its login.
#[derive(Clone, PartialEq)]
pub struct ProxyUrl {
    url: Url,
    shown: Arc<str>,
}

/// Text that is not the URL of a proxy.
#[derive(Debug, thiserror::Error)]
#[error(
    "not the URL of a proxy: it must begin with http://, https://, socks5:// or socks5h:// and \
     have a host"
)]
pub struct InvalidProxyUrl;

impl ProxyUrl {
    /// Returns the URL with its login.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Returns true if the proxy looks up the endpoint's name, so that its addresses can't
    /// be checked here.
    pub(crate) fn looks_up_names(&self) -> bool {
        self.url.scheme() != "socks5"
    }
}

impl FromStr for ProxyUrl {
    type Err = InvalidProxyUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_scheme = if text.contains("://") {
            text.to_owned()
        } else {
            format!("http://{text}")
        };
        let url = Url::parse(&with_scheme).map_err(|_| InvalidProxyUrl)?;
        let is_known = matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h");
        if !is_known || url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidProxyUrl);
        }
        let shown = redact_url(url.as_str());
        let shown = shown.trim_end_matches('/').into();
        Ok(Self { url, shown })
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Proxies of the environment.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Proxies {
    pub(super) http: Option<ProxyUrl>,
    pub(super) https: Option<ProxyUrl>,
    /// `NO_PROXY`
    pub(super) direct: String,
}

impl Proxies {
    /// Reads the variables that other programs use too.
    pub(super) fn read(settings: &mut Settings) -> Self {
        let all: Option<ProxyUrl> = read(settings, &ALL_PROXY);
        let http = read(settings, &HTTP_PROXY);
        let https = read(settings, &HTTPS_PROXY);
        Self {
            http: http.or_else(|| all.clone()),
            https: https.or(all),
            direct: read(settings, &NO_PROXY).unwrap_or_default(),
        }
    }

    /// Returns the proxy for a URL. This machine is always reached directly.
    pub(super) fn of(&self, url: &Url) -> Option<ProxyUrl> {
        let proxy = if url.scheme() == "http" {
            &self.http
        } else {
            &self.https
        };
        let proxy = proxy.as_ref()?;
        (!is_loopback(url) && !self.is_direct(url)).then(|| proxy.clone())
    }

    fn is_direct(&self, url: &Url) -> bool {
        // The proxy's URL does not matter, only whether one is used.
        let matcher = Matcher::builder()
            .all("http://proxy")
            .no(self.direct.as_str());
        url.as_str()
            .parse::<Uri>()
            .is_ok_and(|uri| matcher.build().intercept(&uri).is_none())
    }
}

fn read<T>(settings: &mut Settings, setting: &Setting) -> Option<T>
where
    T: FromStr<Err: fmt::Display> + fmt::Display,
{
    let lower = IN_LOWER_CASE
        .into_iter()
        .find(|name| name.eq_ignore_ascii_case(setting.name))
        .map(|name| Setting { name, ..*setting });
    match lower {
        Some(lower) if settings.is_given(&lower) => settings.value(&lower),
        _ => settings.value(setting),
    }
}

/// Reads the field `proxy`; without it, the proxy is that of the environment.
pub(super) fn read_proxy(
    table: &mut Table<'_, '_>,
    environment: Option<ProxyUrl>,
) -> Option<ProxyUrl> {
    let Some((text, place)) = table.text("proxy") else {
        return environment;
    };
    if text == NONE {
        return None;
    }
    text.parse::<ProxyUrl>()
        .map_err(|error| table.fault(&place, format_args!("proxy is {error}; or \"none\"")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(proxies: &Proxies, url: &str) -> Option<String> {
        let proxy = proxies.of(&Url::parse(url).unwrap());
        proxy.map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_proxy_of_a_scheme_is_used_except_for_this_machine_and_direct_hosts() {
        let mut settings = Settings::from_pairs([
            ("HTTPS_PROXY", "http://user:hunter2@secure.example:3128"),
            ("http_proxy", "plain.example:3128"),
            ("HTTP_PROXY", "ignored.example:3128"),
            ("NO_PROXY", "internal.example, 10.0.0.0/8"),
        ]);
        let proxies = Proxies::read(&mut settings);
        let secure = Some("http://[redacted]@secure.example:3128".to_owned());
        let plain = Some("http://plain.example:3128".to_owned());
        for (url, proxy) in [
            ("https://hook.example/", &secure),
            ("http://hook.example/", &plain),
            ("http://app:3000/", &plain),
            ("https://internal.example/", &None),
            ("https://a.internal.example/", &None),
            ("https://10.1.2.3/", &None),
            ("http://127.0.0.1:4000/", &None),
            ("http://localhost/", &None),
            ("http://[::1]/", &None),
        ] {
            assert_eq!(&shown(&proxies, url), proxy, "{url}");
        }
        let effective = settings.finish().unwrap();
        let lines: Vec<_> = effective.iter().map(ToString::to_string).collect();
        assert!(!lines.concat().contains("hunter2"), "{lines:?}");
    }

    #[test]
    fn one_variable_sets_the_proxy_of_both_schemes() {
        let mut settings = Settings::from_pairs([("ALL_PROXY", "socks5h://proxy.example:1080")]);
        let proxies = Proxies::read(&mut settings);
        let proxy = Some("socks5h://proxy.example:1080".to_owned());
        assert_eq!(shown(&proxies, "https://hook.example/"), proxy);
        assert_eq!(shown(&proxies, "http://hook.example/"), proxy);
    }

    #[test]
    fn an_invalid_proxy_is_an_error_without_its_login() {
        for text in [
            "ftp://u:hunter2@proxy.example",
            "http://u:hunter2@:80",
            "http://",
        ] {
            let mut settings = Settings::from_pairs([("HTTPS_PROXY", text)]);
            Proxies::read(&mut settings);
            let faults = settings.finish().unwrap_err().to_string();
            assert!(faults.contains("HTTPS_PROXY"), "{faults}");
            assert!(!faults.contains("hunter2"), "{faults}");
        }
    }
}
