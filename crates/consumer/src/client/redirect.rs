//! Redirects within one attempt.

use hyper::{Response, body::Incoming};
use reqwest::{
    StatusCode, Url,
    header::{HeaderMap, LOCATION},
};
use wahook_domain::{QueuedEvent, RedirectFault, UnixMillis};

use super::{
    EndpointClient, Exchanged, connection::Connection, connector::BoxError, target::Target,
};

/// Maximum number of redirects that one attempt follows.
const MOST_REDIRECTS: usize = 3;

impl EndpointClient {
    /// Follows the redirects of an answer with the same request. Returns the last answer.
    pub(super) async fn follow(
        &self,
        mut exchanged: Exchanged,
        event: &QueuedEvent,
        now: UnixMillis,
    ) -> Result<Exchanged, BoxError> {
        let mut url = self.connector.url().clone();
        for followed in 0.. {
            let answer = &exchanged.answer;
            if !answer.status().is_redirection() {
                break;
            }
            let next = if followed < MOST_REDIRECTS {
                next_url(&url, answer.status(), answer.headers())
            } else {
                Err(RedirectFault::TooMany)
            };
            let next = next.and_then(|url| match self.target.at(&url) {
                Ok(target) => Ok((url, target)),
                Err(_) => Err(RedirectFault::NoTarget),
            });
            let target = match next {
                Ok((next, target)) => {
                    url = next;
                    target
                }
                Err(fault) => {
                    exchanged.fault = Some(fault);
                    break;
                }
            };
            tracing::debug!(id = %event.id, status = %answer.status(), "redirect followed");
            self.read_rest(exchanged, None).await;
            exchanged = self.exchange_at(&url, &target, event, now).await?;
        }
        Ok(exchanged)
    }

    async fn exchange_at(
        &self,
        url: &Url,
        target: &Target,
        event: &QueuedEvent,
        now: UnixMillis,
    ) -> Result<Exchanged, BoxError> {
        if url.scheme() == self.connector.url().scheme() {
            return self.exchange(event, now, target).await;
        }
        let new = Connection::open(self.connector.connect(url).await?).await?;
        let request = self.request(event, now, target, &new);
        let (connection, answer): (_, Response<Incoming>) =
            new.send(request).await.map_err(|failed| failed.error)?;
        Ok(Exchanged {
            is_at_home: false,
            ..Exchanged::at_home((connection, answer))
        })
    }
}

/// Returns the target of a redirect. The body is private and signed, so it goes to no other
/// host and port, and from http to https only on the same host.
fn next_url(from: &Url, status: StatusCode, headers: &HeaderMap) -> Result<Url, RedirectFault> {
    let keeps_method = [
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !keeps_method.contains(&status) {
        return Err(RedirectFault::OtherStatus);
    }
    let location = headers.get(LOCATION).map(|value| value.as_bytes());
    let location = location.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let to = location.and_then(|location| from.join(location).ok());
    let to = to.ok_or(RedirectFault::NoTarget)?;
    let is_same_port = from.port_or_known_default() == to.port_or_known_default();
    match (from.scheme(), to.scheme()) {
        (_, "http" | "https") if from.host() != to.host() => Err(RedirectFault::OtherHost),
        ("http", "https") => Ok(to),
        ("https", "http") => Err(RedirectFault::Unencrypted),
        ("http", "http") | ("https", "https") if is_same_port => Ok(to),
        (_, "http" | "https") => Err(RedirectFault::OtherPort),
        _ => Err(RedirectFault::NoTarget),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(from: &str, status: u16, location: Option<&str>) -> Result<String, RedirectFault> {
        let location = location.map(|text| (LOCATION, text.parse().unwrap()));
        let headers: HeaderMap = location.into_iter().collect();
        let status = StatusCode::from_u16(status).unwrap();
        next_url(&from.parse().unwrap(), status, &headers).map(Into::into)
    }

    #[test]
    fn a_redirect_within_the_host_is_followed() {
        for (from, location, to) in [
            ("http://a.example/x/y", "/z", "http://a.example/z"),
            ("http://a.example/x/y", "z?a=b", "http://a.example/x/z?a=b"),
            ("http://a.example/x", "", "http://a.example/x"),
            (
                "https://a.example/",
                "https://A.EXAMPLE:443/x",
                "https://a.example/x",
            ),
            (
                "http://a.example/x",
                "//a.example:80/y",
                "http://a.example/y",
            ),
            (
                "http://a.example/x",
                "https://a.example/x",
                "https://a.example/x",
            ),
            (
                "http://a.example:8080/x",
                "https://a.example:8443/",
                "https://a.example:8443/",
            ),
            ("http://127.0.0.1/x", "http://127.1/y", "http://127.0.0.1/y"),
        ] {
            assert_eq!(
                next(from, 307, Some(location)).as_deref(),
                Ok(to),
                "{location}"
            );
            assert_eq!(
                next(from, 308, Some(location)).as_deref(),
                Ok(to),
                "{location}"
            );
        }
    }

    #[test]
    fn any_other_redirect_is_not_followed_for_a_reason() {
        use RedirectFault::*;
        for (from, location, fault) in [
            ("https://a.example/", "https://b.example/", OtherHost),
            ("https://a.example/", "https://a.example.b/", OtherHost),
            (
                "https://a.example/",
                "https://a.example@b.example/",
                OtherHost,
            ),
            ("https://a.example/", "\\\\b.example/", OtherHost),
            ("https://a.example/", "http://b.example/", OtherHost),
            ("http://a.example/", "http://169.254.169.254/", OtherHost),
            ("https://a.example/", "https://a.example:8443/", OtherPort),
            ("http://a.example/", "http://a.example:22/", OtherPort),
            ("https://a.example/", "http://a.example/", Unencrypted),
            ("https://a.example/", "http://a.example:443/", Unencrypted),
            ("http://a.example/", "mailto:a@a.example", NoTarget),
            ("http://a.example/", "file:///etc/passwd", NoTarget),
            ("http://a.example/", "http://[", NoTarget),
        ] {
            assert_eq!(next(from, 308, Some(location)), Err(fault), "{location}");
        }
        assert_eq!(next("http://a.example/", 307, None), Err(NoTarget));
        for status in [300, 301, 302, 303, 304, 305, 306, 399] {
            let found = next("http://a.example/", status, Some("/"));
            assert_eq!(found, Err(OtherStatus), "{status}");
        }
    }
}
