//! What an HTTP client's error means to a person: one cause, in plain words.

use std::{error::Error, io};
use wahook_domain::{FailureCause, Outcome};

use crate::{resolver::NoAddress, tls_failure};

/// Names the cause of a failed request.
#[must_use]
pub(crate) fn outcome_of(error: &reqwest::Error) -> Outcome {
    let (cause, detail) = cause_of(error);
    Outcome::Failed { cause, detail }
}

/// From the most telling error in the chain to the least.
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

/// Closed before the request was written or the answer was whole, or dead: a
/// ping got no answer.
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
        // The HTTP parser's, of a body that is not framed as it should be.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            (FailureCause::Protocol, error.to_string())
        }
        _ => (FailureCause::Connect, without_number(&error.to_string())),
    }
}

/// The server may end a stream or the connection as HTTP/2 allows it to; all
/// else is what it must not do.
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

/// Without "(os error 101)", which says the same to fewer.
fn without_number(text: &str) -> String {
    let words = text
        .split_once(" (os error")
        .map_or(text, |(words, _)| words);
    words.to_owned()
}

/// From the outermost error to the innermost. An `io::Error` can carry another
/// error inside, which `source` skips.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| match error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        Some(carried) => Some(carried),
        None => (*error).source(),
    })
}

/// The innermost error of this type: it is nearest to the cause.
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
    fn a_system_error_is_told_by_what_it_means() {
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
            let told = cause_of_io(&error, FailureCause::Body);
            assert_eq!(told, (cause, detail.to_owned()));
        }
    }

    #[test]
    fn an_http2_error_of_the_connection_is_told_as_any_other() {
        let reason = h2::Error::from(h2::Reason::PROTOCOL_ERROR);
        let (cause, detail) = cause_of_http2(&reason, FailureCause::ConnectionReset);
        assert_eq!(cause, FailureCause::Protocol);
        assert!(!detail.is_empty());
    }
}
