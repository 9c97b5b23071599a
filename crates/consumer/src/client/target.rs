//! Target of the requests, in the forms that connections need.

use anyhow::{Context, anyhow};
use hyper::Uri;
use reqwest::{
    Url,
    header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION},
};

use super::connection::Connection;
use crate::settings::{ProxyUrl, login};

/// URL of a webhook, without login and fragment.
pub(super) struct Target {
    /// `https://host/path?query`, for HTTP/2 and for proxies.
    absolute: Uri,
    /// `/path?query`.
    path: Uri,
    /// Value of `Host`.
    host: HeaderValue,
    /// Login of the proxy. reqwest sends it only where it sends a request itself, as for a
    /// tunnel.
    proxy_login: Option<HeaderValue>,
}

impl Target {
    /// # Errors
    /// Fails if the URL has no host, or characters that no request can contain.
    pub(super) fn new(url: &Url, proxy: Option<&ProxyUrl>) -> anyhow::Result<Self> {
        Self::through(url, proxy.and_then(|proxy| login::basic(proxy.url())))
    }

    /// Returns the target of another URL, through the same proxy.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub(super) fn at(&self, url: &Url) -> anyhow::Result<Self> {
        Self::through(url, self.proxy_login.clone())
    }

    fn through(url: &Url, proxy_login: Option<HeaderValue>) -> anyhow::Result<Self> {
        let mut url = url.clone();
        let without_login = url.set_username("").and_then(|()| url.set_password(None));
        without_login.map_err(|()| anyhow!("the URL has no host"))?;
        let absolute: Uri = url.as_str().parse().context("the URL is not usable")?;
        let path = absolute.path_and_query().cloned();
        let host = absolute.authority().context("the URL has no host")?;
        Ok(Self {
            path: path.map(Uri::from).unwrap_or_default(),
            host: HeaderValue::from_str(host.as_str())?,
            absolute,
            proxy_login,
        })
    }

    /// Returns the address for the request line, and adds `Host` where the version needs it.
    pub(super) fn address(&self, headers: &mut HeaderMap, connection: &Connection) -> Uri {
        if connection.is_http2() {
            return self.absolute.clone();
        }
        headers.insert(HOST, self.host.clone());
        if connection.is_proxied {
            if let Some(login) = &self.proxy_login {
                headers.insert(PROXY_AUTHORIZATION, login.clone());
            }
            self.absolute.clone()
        } else {
            self.path.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_line_has_neither_login_nor_fragment_nor_a_default_port() {
        for (url, host, path) in [
            (
                "http://u:p@example.com/hook?a=b#part",
                "example.com",
                "/hook?a=b",
            ),
            ("https://example.com:443", "example.com", "/"),
            (
                "https://example.com:8443/x%20y",
                "example.com:8443",
                "/x%20y",
            ),
            ("http://[::1]:80/", "[::1]", "/"),
        ] {
            let target = Target::new(&url.parse().unwrap(), None).unwrap();
            assert_eq!(target.host, host, "{url}");
            assert_eq!(target.path, path, "{url}");
            assert!(
                target
                    .absolute
                    .to_string()
                    .ends_with(&format!("{host}{path}"))
            );
        }
    }
}
