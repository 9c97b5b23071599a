//! Checks of a request that hyper does not make (RFC 9112): ambiguous requests could mean
//! something else to a proxy in front.

use axum::{
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode, Version,
        header::{CONNECTION, HOST, TE, TRANSFER_ENCODING},
    },
    response::{IntoResponse, Response},
};

use super::refusals::Refusal;
use crate::problem::Problem;

/// Checks the headers that frame or direct a request.
pub(super) fn check(version: Version, headers: &HeaderMap) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version >= Version::HTTP_11 => {
            return Err(malformed("send a `Host` header"));
        }
        (Some(_), Some(_)) => return Err(malformed("send one `Host` header only")),
        _ => {}
    }
    if headers.contains_key(TRANSFER_ENCODING) && !is_only_chunked(headers) {
        return Err(Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "unsupported-transfer-encoding",
            "The transfer encoding is not supported",
            "send the body with `Content-Length`, or with `Transfer-Encoding: chunked` alone",
        ));
    }
    if headers.contains_key(TE) && codings(headers, &TE).any(is_chunked) {
        return Err(malformed("`TE` must not name chunked"));
    }
    Ok(())
}

/// Creates the response to a request that fails the check. The connection ends with it,
/// because the end of the request is uncertain.
pub(super) fn refuse(problem: Problem) -> Response {
    let mut response = problem.into_response();
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(CONNECTION, close);
    response.extensions_mut().insert(Refusal::new("malformed"));
    response
}

fn malformed(detail: &str) -> Problem {
    let title = "The request is ambiguous";
    Problem::new(StatusCode::BAD_REQUEST, "malformed-request", title, detail)
}

fn is_only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = codings(headers, &TRANSFER_ENCODING);
    codings.next().is_some_and(is_chunked) && codings.next().is_none()
}

fn codings<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter();
    values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
}

fn is_chunked(coding: &[u8]) -> bool {
    let name = coding.split(|byte| *byte == b';').next();
    name.is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(version: Version, pairs: &[(&'static str, &'static str)]) -> u16 {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        check(version, &headers).map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        const HOST: (&str, &str) = ("host", "x");
        let newest = Version::HTTP_11;
        assert_eq!(status(newest, &[HOST]), 200);
        assert_eq!(status(Version::HTTP_10, &[]), 200);
        assert_eq!(status(newest, &[]), 400);
        assert_eq!(status(newest, &[HOST, HOST]), 400);
        assert_eq!(status(Version::HTTP_10, &[HOST, HOST]), 400);
        for (value, expected) in [
            ("chunked", 200),
            (" Chunked", 200),
            ("gzip, chunked", 501),
            ("chunked, chunked", 501),
            ("identity", 501),
            ("", 501),
        ] {
            let transfer = ("transfer-encoding", value);
            assert_eq!(status(newest, &[HOST, transfer]), expected, "{value}");
        }
        let twice = [
            HOST,
            ("transfer-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
        ];
        assert_eq!(status(newest, &twice), 501);
        assert_eq!(
            status(newest, &[HOST, ("te", "trailers, deflate;q=0.5")]),
            200
        );
        assert_eq!(status(newest, &[HOST, ("te", "gzip, chunked;q=1")]), 400);
    }
}
