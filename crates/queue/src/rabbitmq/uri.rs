//! Address of the broker.

use lapin::uri::AMQPUri;
use std::{fmt, str::FromStr};

/// Seconds between heartbeats if the URI sets none: a frozen broker is noticed
/// after two of them.
const HEARTBEAT_SECONDS: u16 = 5;
/// Longest frame, in bytes, if the URI sets none. lapin keeps 64 times as much
/// for each connection: 8 MiB with the 128 KiB that RabbitMQ would agree to.
const MAX_FRAME: u32 = 16 << 10;

/// Address of the broker, valid by construction. `Display` hides the password.
#[derive(Clone)]
pub struct BrokerUri(pub(super) AMQPUri);

/// Error for an invalid broker address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidBrokerUri(String);

impl FromStr for BrokerUri {
    type Err = InvalidBrokerUri;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut uri = AMQPUri::from_str(text).map_err(InvalidBrokerUri)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        uri.query.frame_max.get_or_insert(MAX_FRAME);
        Ok(Self(uri))
    }
}

impl fmt::Display for BrokerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = &self.0.authority;
        write!(
            f,
            "{}://{}@{}:{}/{}",
            self.0.scheme,
            authority.userinfo.username,
            authority.host,
            authority.port,
            self.0.vhost
        )
    }
}

impl fmt::Debug for BrokerUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerUri({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password() {
        let uri: BrokerUri = "amqp://guest:hunter2@broker:5673/%2f".parse().unwrap();
        assert_eq!(uri.to_string(), "amqp://guest@broker:5673//");
        assert!(!format!("{uri:?}").contains("hunter2"));
    }

    #[test]
    fn heartbeats_and_short_frames_are_requested_unless_the_address_sets_others() {
        let uri: BrokerUri = "amqp://broker".parse().unwrap();
        assert_eq!(uri.0.query.heartbeat, Some(HEARTBEAT_SECONDS));
        assert_eq!(uri.0.query.frame_max, Some(MAX_FRAME));
        let text = "amqp://broker/%2f?heartbeat=30&frame_max=8192";
        let uri: BrokerUri = text.parse().unwrap();
        assert_eq!(uri.0.query.heartbeat, Some(30));
        assert_eq!(uri.0.query.frame_max, Some(8192));
    }

    #[test]
    fn an_invalid_broker_address_is_refused() {
        for text in ["http://broker", "broker:5672", ""] {
            assert!(text.parse::<BrokerUri>().is_err(), "{text}");
        }
    }
}
