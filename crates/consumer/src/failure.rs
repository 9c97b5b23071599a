//! Classification of HTTP client errors: one cause and a readable detail.

use std::{error::Error, io};
use wahook_domain::{FailureCause, Outcome};

use crate::{resolver::NoAddress, tls_failure};

/// Returns the outcome of a failed request.
#[must_use]
pub(crate) fn outcome_of(error: &reqwest::Error) -> Outcome {
    let (cause, detail) = cause_of(error);
    Outcome::Failed { cause, detail }
}

/// Checks the chain from the most specific error to the least.
fn cause_of(error: &reqwest::Error) -> (FailureCause, String) {
    let broke_off = if error.is_body() || error.is_decode() {
        FailureCause::Body
    } else {
        FailureCause::ConnectionReset
    };
    if let Some(no_address) = find::<NoAddress>(error) {
        let cause = match no_address {
            NoAddress::NotFound { .. } => FailureCause::Dns,
            NoAddress::Blocked { .. } => FailureCause::Blocked,
        };
        return (cause, no_address.to_string());
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return (FailureCause::Tls, tls_failure::in_words(tls));
    }
    if let Some(http2) = find::<h2::Error>(error) {
        return cause_of_http2(http2, broke_off);
    }
    if let Some(io) = find::<io::Error>(error) {
        return cause_of_io(io, broke_off);
    }
    match find::<hyper::Error>(error) {
        Some(http) if is_broken_off(http) => (broke_off, String::new()),
        Some(http) if http.is_parse() => (FailureCause::Protocol, innermost(http)),
        _ if error.is_connect() => (FailureCause::Connect, innermost(error)),
        _ if error.is_request() => (FailureCause::Protocol, innermost(error)),
        _ => (FailureCause::Other, innermost(error)),
    }
}

/// Returns true if the connection closed before the request was written or the response
/// was complete, or if a ping timed out.
fn is_broken_off(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_timeout()
}

fn cause_of_io(error: &io::Error, broke_off: FailureCause) -> (FailureCause, String) {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => (FailureCause::ConnectionRefused, String::new()),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => (broke_off, String::new()),
        // From the HTTP parser, for a body with wrong framing.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            (FailureCause::Protocol, error.to_string())
        }
        _ => (FailureCause::Connect, without_number(&error.to_string())),
    }
}

/// Maps an HTTP/2 error. A server may end a stream or the connection; everything else is
/// a protocol error.
fn cause_of_http2(error: &h2::Error, broke_off: FailureCause) -> (FailureCause, String) {
    if let Some(io) = error.get_io() {
        return cause_of_io(io, broke_off);
    }
    let cause = if error.is_remote() {
        broke_off
    } else {
        FailureCause::Protocol
    };
    (cause, error.to_string())
}

/// Removes "(os error 101)", which adds nothing to the text before it.
fn without_number(text: &str) -> String {
    let words = text
        .split_once(" (os error")
        .map_or(text, |(words, _)| words);
    words.to_owned()
}

/// Iterates from the outermost error to the innermost. An `io::Error` can contain an
/// error that `source` skips.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(carried) => Some(carried),
        None => (*error).source(),
    })
}

/// Returns the innermost error of a type, which is nearest to the cause.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).filter_map(|error| error.downcast_ref()).last()
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_error_maps_to_its_cause_without_its_number() {
        let os = |number| io::Error::from_raw_os_error(number);
        let garbage = io::Error::new(io::ErrorKind::InvalidInput, "Invalid chunk size line");
        for (error, cause, detail) in [
            (os(111), FailureCause::ConnectionRefused, ""),
            (os(104), FailureCause::Body, ""),
            (os(32), FailureCause::Body, ""),
            (io::ErrorKind::UnexpectedEof.into(), FailureCause::Body, ""),
            (os(101), FailureCause::Connect, "Network is unreachable"),
            (os(110), FailureCause::Connect, "Connection timed out"),
            (garbage, FailureCause::Protocol, "Invalid chunk size line"),
        ] {
            let found = cause_of_io(&error, FailureCause::Body);
            assert_eq!(found, (cause, detail.to_owned()));
        }
    }

    #[test]
    fn an_http2_protocol_error_has_a_cause_and_a_detail() {
        let reason = h2::Error::from(h2::Reason::PROTOCOL_ERROR);
        let (cause, detail) = cause_of_http2(&reason, FailureCause::ConnectionReset);
        assert_eq!(cause, FailureCause::Protocol);
        assert!(!detail.is_empty());
    }
}
