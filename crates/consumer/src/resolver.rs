//! Name look-up for endpoints, with an optional block of private addresses.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};
use tokio::net::lookup_host;
use wahook_domain::is_public;

/// System resolver. Connections go only to the addresses returned here, so the checked
/// address is the one that is called.
pub(crate) struct Resolver {
    /// `WEBHOOK_BLOCK_PRIVATE`: only public addresses are returned.
    pub(crate) block_private: bool,
}

/// No address to connect to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAddress {
    #[error("{host} ({reason})")]
    NotFound {
        host: String,
        /// Error text of the system.
        reason: String,
    },
    /// None of the host's addresses is public.
    #[error("{host} is {address}, which is not public")]
    Blocked {
        host: String,
        /// First of the host's addresses.
        address: IpAddr,
    },
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let block_private = self.block_private;
        Box::pin(async move {
            let host = name.as_str();
            // Port 0 is replaced by the URL's port.
            let found = lookup_host((host, 0))
                .await
                .map_err(|error| not_found(host, &error))?;
            let mut addresses = found.collect();
            if block_private {
                addresses = only_public(host, addresses)?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn not_found(host: &str, error: &io::Error) -> NoAddress {
    let error = error.to_string();
    let reason = error
        .rsplit_once(": ")
        .map_or(error.as_str(), |(_, reason)| reason);
    NoAddress::NotFound {
        host: host.to_owned(),
        reason: reason.to_owned(),
    }
}

/// Keeps the public addresses; fails if there are none.
fn only_public(host: &str, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, NoAddress> {
    let first = addresses.first().map(SocketAddr::ip);
    addresses.retain(|address| is_public(address.ip()));
    match first {
        Some(address) if addresses.is_empty() => Err(NoAddress::Blocked {
            host: host.to_owned(),
            address,
        }),
        _ => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect()
    }

    #[test]
    fn only_the_public_addresses_of_a_mixed_name_are_called() {
        let mixed = addresses(&[
            "10.0.0.5",
            "8.8.8.8",
            "::1",
            "::ffff:10.0.0.5",
            "2606:4700::1",
        ]);
        assert_eq!(
            only_public("mixed.example", mixed).unwrap(),
            addresses(&["8.8.8.8", "2606:4700::1"])
        );
    }

    #[test]
    fn a_name_with_only_private_addresses_is_blocked() {
        let private = addresses(&["169.254.169.254", "::1"]);
        let blocked = only_public("metadata.example", private).unwrap_err();
        assert_eq!(
            blocked.to_string(),
            "metadata.example is 169.254.169.254, which is not public"
        );
    }

    #[tokio::test]
    async fn names_are_resolved_by_the_system_and_private_addresses_are_blocked_on_request() {
        let resolve = async |name: &str, block_private| {
            let found = Resolver { block_private }.resolve(name.parse().unwrap());
            match found.await {
                Ok(addresses) => Ok(addresses.collect::<Vec<_>>()),
                Err(error) => Err(*error.downcast::<NoAddress>().unwrap()),
            }
        };
        let found = resolve("localhost", false).await.unwrap();
        assert!(
            found.iter().all(|address| address.ip().is_loopback()),
            "{found:?}"
        );
        let blocked = resolve("localhost", true).await.unwrap_err();
        assert!(matches!(blocked, NoAddress::Blocked { .. }), "{blocked}");
        let unknown = resolve("no-such-host.invalid", false).await.unwrap_err();
        assert!(
            unknown.to_string().starts_with("no-such-host.invalid ("),
            "{unknown}"
        );
    }
}
