//! Name look-up for endpoints, with an optional block of private addresses.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    io,
    net::{IpAddr, SocketAddr},
};
use tokio::net::lookup_host;
use wahook_domain::Reach;

/// System resolver. Connections go only to the addresses returned here, so the checked
/// address is the one that is called.
pub(crate) struct Resolver {
    /// Addresses that may be returned.
    pub(crate) reach: Reach,
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
    /// None of the host's addresses is permitted.
    #[error("{host} is {address}, which is {}", fault_of(*.reach))]
    Blocked {
        host: String,
        reach: Reach,
        /// First of the host's addresses.
        address: IpAddr,
    },
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.reach;
        Box::pin(async move {
            let host = name.as_str();
            // Port 0 is replaced by the URL's port.
            let found = lookup_host((host, 0))
                .await
                .map_err(|error| not_found(host, &error))?;
            let addresses = permitted(host, found.collect(), reach)?;
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

/// Describes an address that is not permitted.
const fn fault_of(reach: Reach) -> &'static str {
    match reach {
        Reach::Public => "not public",
        Reach::Private | Reach::Everything => "a link-local address or a metadata service",
    }
}

/// Keeps the permitted addresses; fails if there are none.
fn permitted(
    host: &str,
    mut addresses: Vec<SocketAddr>,
    reach: Reach,
) -> Result<Vec<SocketAddr>, NoAddress> {
    let first = addresses.first().map(SocketAddr::ip);
    addresses.retain(|address| reach.permits(address.ip()));
    match first {
        Some(address) if addresses.is_empty() => Err(NoAddress::Blocked {
            host: host.to_owned(),
            reach,
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
            permitted("mixed.example", mixed, Reach::Public).unwrap(),
            addresses(&["8.8.8.8", "2606:4700::1"])
        );
    }

    #[test]
    fn a_name_with_only_private_addresses_is_blocked() {
        let private = addresses(&["169.254.169.254", "10.0.0.1", "::1"]);
        for (reach, words) in [
            (Reach::Public, "not public"),
            (Reach::Private, "a link-local address or a metadata service"),
        ] {
            let blocked = permitted("metadata.example", addresses(&["169.254.169.254"]), reach);
            assert_eq!(
                blocked.unwrap_err().to_string(),
                format!("metadata.example is 169.254.169.254, which is {words}")
            );
        }
        assert!(permitted("private.example", private.clone(), Reach::Public).is_err());
        let reachable = permitted("private.example", private.clone(), Reach::Private).unwrap();
        assert_eq!(reachable, addresses(&["10.0.0.1", "::1"]));
        let all = permitted("private.example", private.clone(), Reach::Everything).unwrap();
        assert_eq!(all, private);
    }

    #[tokio::test]
    async fn names_are_resolved_by_the_system_and_private_addresses_are_blocked_on_request() {
        let resolve = async |name: &str, reach| {
            let found = Resolver { reach }.resolve(name.parse().unwrap());
            match found.await {
                Ok(addresses) => Ok(addresses.collect::<Vec<_>>()),
                Err(error) => Err(*error.downcast::<NoAddress>().unwrap()),
            }
        };
        let found = resolve("localhost", Reach::Private).await.unwrap();
        assert!(
            found.iter().all(|address| address.ip().is_loopback()),
            "{found:?}"
        );
        let blocked = resolve("localhost", Reach::Public).await.unwrap_err();
        assert!(matches!(blocked, NoAddress::Blocked { .. }), "{blocked}");
        let unknown = resolve("no-such-host.invalid", Reach::Private)
            .await
            .unwrap_err();
        assert!(
            unknown.to_string().starts_with("no-such-host.invalid ("),
            "{unknown}"
        );
    }
}
