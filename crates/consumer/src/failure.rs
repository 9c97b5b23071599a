//! Classification of HTTP client errors: one cause and a readable detail.

use std::{error::Error, io};
use wahook_domain::{FailureCause, Outcome};

use crate::{resolver::NoAddress, tls_failure};

/// Returns the outcome of a request without an answer.
#[must_use]
pub(crate) fn outcome_of(error: &(dyn Error + 'static)) -> Outcome {
    let (cause, detail) = cause_of(error);
    Outcome::Failed { cause, detail }
}

/// Checks the chain from the most specific error to the least.
fn cause_of(error: &(dyn Error + 'static)) -> (FailureCause, String) {
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
        return cause_of_http2(http2);
    }
    if let Some(io) = find::<io::Error>(error) {
        return cause_of_io(io);
    }
    match find::<hyper::Error>(error) {
        Some(http) if is_broken_off(http) => (FailureCause::ConnectionReset, String::new()),
        Some(http) => (FailureCause::Protocol, innermost(http)),
        None if find(error).is_some_and(reqwest::Error::is_connect) => {
            (FailureCause::Connect, innermost(error))
        }
        None => (FailureCause::Other, innermost(error)),
    }
}

/// Returns true if the connection closed before the request was written or the answer's
/// header section was complete, or if a ping timed out.
fn is_broken_off(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || error.is_timeout()
}

/// Returns true if the receiver has ended an HTTP/2 connection, or has refused the request
/// unprocessed. A reset of the request alone is an answer.
pub(crate) fn is_end_of_http2(error: &hyper::Error) -> bool {
    let ends = |io: &io::Error| io.kind() != io::ErrorKind::InvalidData;
    match find::<h2::Error>(error) {
        Some(http2) => http2.get_io().map_or_else(
            || http2.is_go_away() || http2.reason() == Some(h2::Reason::REFUSED_STREAM),
            ends,
        ),
        None => find(error).map_or_else(|| is_broken_off(error), ends),
    }
}

fn cause_of_io(error: &io::Error) -> (FailureCause, String) {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => (FailureCause::ConnectionRefused, String::new()),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => (FailureCause::ConnectionReset, String::new()),
        // From the limits of what is read before an answer.
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            (FailureCause::Protocol, error.to_string())
        }
        _ => (FailureCause::Connect, without_number(&error.to_string())),
    }
}

/// Maps an HTTP/2 error. A server may end a stream or the connection; everything else is
/// a protocol error.
fn cause_of_http2(error: &h2::Error) -> (FailureCause, String) {
    if let Some(io) = error.get_io() {
        return cause_of_io(io);
    }
    let cause = if error.is_remote() {
        FailureCause::ConnectionReset
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
        let excess = io::Error::new(io::ErrorKind::InvalidData, "too many interim answers");
        for (error, cause, detail) in [
            (os(111), FailureCause::ConnectionRefused, ""),
            (os(104), FailureCause::ConnectionReset, ""),
            (os(32), FailureCause::ConnectionReset, ""),
            (
                io::ErrorKind::UnexpectedEof.into(),
                FailureCause::ConnectionReset,
                "",
            ),
            (os(101), FailureCause::Connect, "Network is unreachable"),
            (os(110), FailureCause::Connect, "Connection timed out"),
            (excess, FailureCause::Protocol, "too many interim answers"),
        ] {
            let found = cause_of_io(&error);
            assert_eq!(found, (cause, detail.to_owned()));
        }
    }

    #[test]
    fn an_http2_protocol_error_has_a_cause_and_a_detail() {
        let reason = h2::Error::from(h2::Reason::PROTOCOL_ERROR);
        let (cause, detail) = cause_of_http2(&reason);
        assert_eq!(cause, FailureCause::Protocol);
        assert!(!detail.is_empty());
    }
}
