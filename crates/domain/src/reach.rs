//! Addresses that deliveries may reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::public_address::{embedded_v4, is_public};

/// Set of permitted addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// Public addresses.
    Public,
    /// Also private networks and this machine, but no link-local address and no metadata
    /// service of a cloud.
    #[default]
    Private,
    /// Every address.
    Everything,
}

impl Reach {
    /// Returns true if deliveries may be sent to the address.
    #[must_use]
    pub fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Private => !is_metadata(address),
            Self::Everything => true,
        }
    }
}

/// Returns true for link-local addresses and for the metadata services of clouds. Such a
/// service gives the credentials of a machine to every program on it, and no webhook is
/// behind it.
#[must_use]
pub fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_metadata_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => is_metadata_v4(embedded),
            None => is_metadata_v6(address),
        },
    }
}

const fn is_metadata_v4(address: Ipv4Addr) -> bool {
    matches!(
        address.octets(),
        // link-local; most clouds use 169.254.169.254
        [169, 254, ..]
            // Alibaba Cloud
            | [100, 100, 100, 200]
            // Azure; in a public block
            | [168, 63, 129, 16]
            // Oracle Cloud
            | [192, 0, 0, 192]
    )
}

const fn is_metadata_v6(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        // link-local (fe80::/10)
        [0xfe80..=0xfebf, ..]
            // Amazon: metadata, container credentials, time, names (fd00:ec2::/32)
            | [0xfd00, 0x0ec2, ..]
            // Google Cloud
            | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254]
            // Oracle Cloud
            | [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe]
            // Scaleway
            | [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_permitted(addresses: &[&str], by: &[Reach]) {
        for text in addresses {
            let address = text.parse().unwrap();
            let all = [Reach::Public, Reach::Private, Reach::Everything];
            let permitting: Vec<_> = all.into_iter().filter(|r| r.permits(address)).collect();
            assert_eq!(permitting, by, "{text}");
        }
    }

    #[test]
    fn link_local_and_metadata_addresses_need_explicit_permission() {
        let addresses = [
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "::ffff:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "2002:a9fe:a9fe::",
            "::ffff:168.63.129.16",
        ];
        assert_permitted(&addresses, &[Reach::Everything]);
    }

    #[test]
    fn private_addresses_are_permitted_unless_only_public_ones_are() {
        let addresses = [
            "127.0.0.1",
            "10.0.0.1",
            "172.17.0.2",
            "192.168.1.1",
            "100.100.100.201",
            "192.0.0.191",
            "::1",
            "fd00:ec3::254",
            "fd12:3456::1",
        ];
        assert_permitted(&addresses, &[Reach::Private, Reach::Everything]);
    }

    #[test]
    fn public_addresses_are_always_permitted() {
        let addresses = ["8.8.8.8", "168.63.129.15", "168.63.129.17", "2606:4700::1"];
        let all = [Reach::Public, Reach::Private, Reach::Everything];
        assert_permitted(&addresses, &all);
    }
}
