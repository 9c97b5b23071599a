//! Name look-up for endpoints, restricted to permitted addresses.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};
use wahook_domain::Reach;

use crate::look_ups::LookUps;

/// System resolver. Connections go only to the addresses returned here, so the checked
/// address is the one that is called.
pub(crate) struct Resolver {
    /// Addresses that may be returned.
    pub(crate) reach: Reach,
    pub(crate) look_ups: LookUps,
    pub(crate) answered: LastAnswered,
    /// Host of the proxy, which the operator chose: all of its addresses are permitted.
    pub(crate) proxy: Option<String>,
}

/// Address of the last answer. It is returned first, so that a silent address of the
/// same host costs its share of an attempt only once.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastAnswered(Arc<Mutex<Option<IpAddr>>>);

impl LastAnswered {
    /// Remembers the address of an answer.
    pub(crate) fn set(&self, address: IpAddr) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
    }

    fn first(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let answered = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        addresses.sort_by_key(|address| Some(address.ip()) != answered);
        addresses
    }
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
        let reach = match &self.proxy {
            Some(proxy) if proxy == name.as_str() => Reach::Everything,
            _ => self.reach,
        };
        let look_ups = self.look_ups.clone();
        let answered = self.answered.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = look_ups
                .addresses(host)
                .await
                .map_err(|reason| NoAddress::NotFound {
                    host: host.to_owned(),
                    reason,
                })?;
            let addresses = permitted(host, found, reach)?;
            Ok(Box::new(answered.first(addresses).into_iter()) as Addrs)
        })
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

    #[test]
    fn the_address_that_answered_last_is_tried_first() {
        let answered = LastAnswered::default();
        let all = addresses(&["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
        assert_eq!(answered.first(all.clone()), all);
        answered.set("10.0.0.2".parse().unwrap());
        let sorted = addresses(&["10.0.0.2", "10.0.0.1", "10.0.0.3"]);
        assert_eq!(answered.first(all), sorted);
        let moved = addresses(&["10.0.0.7", "10.0.0.8"]);
        assert_eq!(answered.first(moved.clone()), moved);
    }

    #[tokio::test]
    async fn names_are_resolved_by_the_system_and_private_addresses_are_blocked_on_request() {
        let resolve = async |name: &str, reach| {
            let look_ups = LookUps::system();
            let answered = LastAnswered::default();
            let resolver = Resolver {
                reach,
                look_ups,
                answered,
                proxy: None,
            };
            let found = resolver.resolve(name.parse().unwrap());
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
