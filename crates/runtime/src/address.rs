//! Listen addresses.

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    str::FromStr,
};

use tokio::net::TcpListener;

/// Address and port to listen on; port 0 means any free port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress(SocketAddr);

/// Reason why a text is not a listen address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidListenAddress {
    /// Bare host, or nothing after the colon.
    #[error("the port is missing")]
    NoPort,
    /// Host name, or not an IP address.
    #[error("the host must be an IP address (0.0.0.0 for every IPv4 interface) or localhost")]
    Host,
    /// Not a number from 0 to 65535.
    #[error("the port must be a number from 0 to 65535")]
    Port,
}

/// Failure to open a listener.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct BindError {
    address: ListenAddress,
    source: io::Error,
}

impl ListenAddress {
    /// Returns `port` on 127.0.0.1, reachable from this machine only.
    #[must_use]
    pub const fn loopback(port: u16) -> Self {
        Self(SocketAddr::new(
            std::net::IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
        ))
    }

    /// Returns true if only this machine can reach the address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.0.ip().to_canonical().is_loopback()
    }

    #[must_use]
    pub const fn socket(&self) -> SocketAddr {
        self.0
    }

    /// Opens the listener.
    ///
    /// # Errors
    /// When the port is taken or not permitted, or the address is not one of this
    /// machine.
    pub async fn bind(&self) -> Result<TcpListener, BindError> {
        TcpListener::bind(self.0).await.map_err(|source| BindError {
            address: *self,
            source,
        })
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(InvalidListenAddress::NoPort)?;
        if port.is_empty() {
            return Err(InvalidListenAddress::NoPort);
        }
        let port = port.parse().map_err(|_| InvalidListenAddress::Port)?;
        if host.eq_ignore_ascii_case("localhost") {
            Ok(Self::loopback(port))
        } else {
            Err(InvalidListenAddress::Host)
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListenAddress, InvalidListenAddress> {
        text.parse()
    }

    #[test]
    fn address_is_parsed_and_printed_alike() {
        for text in ["127.0.0.1:8080", "0.0.0.0:0", "[::1]:9091"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            parse("localhost:8080").unwrap(),
            ListenAddress::loopback(8080)
        );
    }

    #[test]
    fn error_names_the_invalid_part() {
        assert_eq!(parse("127.0.0.1"), Err(InvalidListenAddress::NoPort));
        assert_eq!(parse("127.0.0.1:"), Err(InvalidListenAddress::NoPort));
        assert_eq!(parse("127.0.0.1:99999"), Err(InvalidListenAddress::Port));
        assert_eq!(parse(":8080"), Err(InvalidListenAddress::Host));
        assert_eq!(parse("example.org:8080"), Err(InvalidListenAddress::Host));
    }

    #[test]
    fn only_loopback_addresses_count_as_loopback() {
        for text in [
            "127.0.0.1:1",
            "127.8.8.8:1",
            "[::1]:1",
            "[::ffff:127.0.0.1]:1",
        ] {
            assert!(parse(text).unwrap().is_loopback(), "{text}");
        }
        for text in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert!(!parse(text).unwrap().is_loopback(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named_in_the_error() {
        let first = ListenAddress::loopback(0).bind().await.unwrap();
        let taken = ListenAddress(first.local_addr().unwrap());
        let error = taken.bind().await.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot listen on {taken}: ")),
            "{error}"
        );
    }
}
