//! Servers behind the hosts of a broker's address.

use futures_util::future::join_all;
use lapin::uri::AMQPUri;
use std::{fmt, net::SocketAddr};
use tokio::net::lookup_host;

use super::{
    deadline::with_deadline,
    error::ConnectError,
    uri::{BrokerUri, host_and_port},
};

/// Server, with the host that names it.
pub(super) struct Server {
    /// The server's certificate must be for its host.
    pub(super) uri: AMQPUri,
    pub(super) address: SocketAddr,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, address) = (host_and_port(&self.uri), self.address.to_string());
        if host == address {
            f.write_str(&host)
        } else {
            write!(f, "{host} ({address})")
        }
    }
}

/// Servers of an address, and the hosts without one.
#[derive(Default)]
pub(super) struct Found {
    pub(super) servers: Vec<Server>,
    pub(super) failures: Vec<(String, ConnectError)>,
}

/// Looks up all hosts. A name may have several servers.
pub(super) async fn look_up(uri: &BrokerUri) -> Found {
    let look_ups = uri.hosts.iter().map(async |uri| {
        let authority = &uri.authority;
        let addresses = lookup_host((authority.host.as_str(), authority.port));
        let addresses = with_deadline(addresses).await;
        (uri, addresses)
    });
    let mut found = Found::default();
    for (uri, addresses) in join_all(look_ups).await {
        let fault: ConnectError = match addresses {
            Ok(Ok(addresses)) => {
                found.add(uri, addresses);
                continue;
            }
            Ok(Err(error)) => lapin::Error::from(error).into(),
            Err(timed_out) => timed_out.into(),
        };
        found.failures.push((host_and_port(uri), fault));
    }
    found
}

impl Found {
    fn add(&mut self, uri: &AMQPUri, addresses: impl Iterator<Item = SocketAddr>) {
        for address in addresses {
            if self.servers.iter().all(|server| server.address != address) {
                let uri = uri.clone();
                self.servers.push(Server { uri, address });
            }
        }
    }
}
