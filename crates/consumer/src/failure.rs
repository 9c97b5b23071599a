//! What an HTTP client's error means to a person: one cause, in plain words.

use std::{error::Error, io};
use wahook_domain::{FailureCause, Outcome};

/// Names the cause of a failed request.
#[must_use]
pub(crate) fn outcome_of(error: &reqwest::Error) -> Outcome {
    let (cause, detail) = cause_of(error);
    Outcome::Failed { cause, detail }
}

fn cause_of(error: &reqwest::Error) -> (FailureCause, String) {
    let innermost = innermost(error);
    if let Some(tls) = find::<rustls::Error>(error) {
        return (FailureCause::Tls, tls.to_string());
    }
    if error.is_dns() {
        return (FailureCause::Dns, innermost);
    }
    if let Some(io) = find::<io::Error>(error) {
        match io.kind() {
            io::ErrorKind::ConnectionRefused => {
                return (FailureCause::ConnectionRefused, innermost);
            }
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => return (FailureCause::ConnectionReset, innermost),
            io::ErrorKind::UnexpectedEof if !error.is_body() => {
                return (FailureCause::ConnectionReset, innermost);
            }
            _ => {}
        }
    }
    let cause = if error.is_connect() {
        FailureCause::Connect
    } else if error.is_body() || error.is_decode() {
        FailureCause::Body
    } else if error.is_request() {
        FailureCause::Protocol
    } else {
        FailureCause::Other
    };
    (cause, innermost)
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        (*error).source()
    })
}

/// Looks for a typed error in the chain. An `io::Error` can carry another error
/// inside, which `source` skips.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| {
        error.downcast_ref::<E>().or_else(|| {
            let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
            inner.downcast_ref::<E>()
        })
    })
}

fn innermost(error: &reqwest::Error) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}
