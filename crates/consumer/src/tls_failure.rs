//! Readable messages for failed TLS handshakes.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};
use wahook_domain::UnixMillis;

/// Maximum number of certificate names in a message; some certificates have hundreds.
const MOST_NAMES: usize = 3;

/// Returns the whole message, such as "certificate expired on 2024-10-01".
pub(crate) fn in_words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(fault) => certificate_in_words(fault),
        Error::NoCertificatesPresented => "TLS failed: the server sent no certificate".to_owned(),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "TLS failed: the server supports neither TLS 1.2 nor TLS 1.3".to_owned()
        }
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion,
        ) => "TLS failed: the server's answer is not TLS".to_owned(),
        Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "TLS failed: the server requires a client certificate: set client_cert_file and \
             client_key_file"
                .to_owned()
        }
        Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA),
        ) => format!("TLS failed: the server rejected the client certificate ({alert:?})"),
        Error::AlertReceived(alert) => format!("TLS failed: rejected by the server ({alert:?})"),
        other => format!("TLS failed: {other}"),
    }
}

fn certificate_in_words(fault: &CertificateError) -> String {
    match fault {
        CertificateError::Expired => "certificate expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired on {}", day(not_after.as_secs()))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "certificate is not valid before {}",
                day(not_before.as_secs())
            )
        }
        CertificateError::UnknownIssuer => {
            "certificate is signed by an unknown authority".to_owned()
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => format!(
            "certificate is for {}, not for {}",
            names(presented),
            expected.to_str()
        ),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "certificate is that of an authority and not trusted: name its file in ca_file or \
             SSL_CERT_FILE"
                .to_owned()
        }
        CertificateError::Revoked => "certificate is revoked".to_owned(),
        other => format!("certificate is invalid: {other}"),
    }
}

fn day(seconds: u64) -> String {
    let millis = i64::try_from(seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1_000);
    let mut moment = UnixMillis::new(millis).to_iso8601();
    moment.truncate("2024-10-01".len());
    moment
}

fn names(presented: &[String]) -> String {
    let mut shown: Vec<_> = presented
        .iter()
        .take(MOST_NAMES)
        .map(|name| bare(name))
        .collect();
    let more = presented.len() - shown.len();
    let counted = format!("{more} more");
    match more {
        0 if shown.is_empty() => "no name".to_owned(),
        0 => shown.join(", "),
        _ => {
            shown.push(&counted);
            shown.join(", ")
        }
    }
}

/// Removes the kind from `DnsName("other.example")` or `IpAddress(10.0.0.1)`.
fn bare(name: &str) -> &str {
    name.split_once('(')
        .and_then(|(_, rest)| rest.strip_suffix(')'))
        .map_or(name, |name| name.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::time::Duration;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    fn wrong_name(presented: &[&str]) -> CertificateError {
        CertificateError::NotValidForNameContext {
            expected: ServerName::try_from("127.0.0.1").unwrap(),
            presented: presented.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_certificate_error_names_the_date_or_the_names() {
        let (today, first_of_october) = (at(1_800_000_000), at(1_727_784_000));
        for (fault, words) in [
            (
                CertificateError::ExpiredContext {
                    time: today,
                    not_after: first_of_october,
                },
                "certificate expired on 2024-10-01",
            ),
            (
                CertificateError::NotValidYetContext {
                    time: today,
                    not_before: first_of_october,
                },
                "certificate is not valid before 2024-10-01",
            ),
            (
                CertificateError::UnknownIssuer,
                "certificate is signed by an unknown authority",
            ),
            (
                wrong_name(&[r#"DnsName("other.example")"#]),
                "certificate is for other.example, not for 127.0.0.1",
            ),
            (
                wrong_name(&[]),
                "certificate is for no name, not for 127.0.0.1",
            ),
            (
                wrong_name(&["IpAddress(10.0.0.1)", "DnsName(\"b\")", "c", "d", "e"]),
                "certificate is for 10.0.0.1, b, c, 2 more, not for 127.0.0.1",
            ),
            (
                CertificateError::BadSignature,
                "certificate is invalid: BadSignature",
            ),
        ] {
            assert_eq!(in_words(&Error::InvalidCertificate(fault)), words);
        }
    }

    #[test]
    fn a_handshake_error_says_what_the_server_did() {
        for (error, words) in [
            (
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                "TLS failed: the server supports neither TLS 1.2 nor TLS 1.3",
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                "TLS failed: the server's answer is not TLS",
            ),
            (
                Error::AlertReceived(AlertDescription::HandshakeFailure),
                "TLS failed: rejected by the server (HandshakeFailure)",
            ),
            (
                Error::NoCertificatesPresented,
                "TLS failed: the server sent no certificate",
            ),
        ] {
            assert_eq!(in_words(&error), words);
        }
    }
}
