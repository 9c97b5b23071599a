//! Classification of IP addresses as public or not public.
//!
//! Not public are this machine, its networks, and reserved blocks. Services there
//! often trust every client that can reach them, so an endpoint from an untrusted
//! source must not lead there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Returns true if packets to this address are routed to the public internet. An
/// IPv6 address that embeds an IPv4 address is classified by the latter.
///
/// Based on IANA's special-purpose address registries; a block that is reserved
/// only in part counts as not public as a whole.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded_v4(address) {
            Some(embedded) => is_public_v4(embedded),
            None => is_public_v6(address),
        },
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        // "this network", private, loopback
        [0 | 10 | 127, ..]
            // shared by carriers (CGNAT, 100.64.0.0/10)
            | [100, 64..=127, ..]
            // link-local, includes the credential services of clouds
            | [169, 254, ..]
            // private (172.16.0.0/12 and 192.168.0.0/16)
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // protocol assignments, 6to4 relays
            | [192, 0, 0, _]
            | [192, 88, 99, _]
            // metadata service of Azure
            | [168, 63, 129, 16]
            // documentation
            | [192, 0, 2, _]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
            // benchmarks (198.18.0.0/15)
            | [198, 18 | 19, ..]
            // multicast, reserved, broadcast
            | [224..=255, ..]
    )
}

/// Returns true for the public part of 2000::/3, the only allocated block. Loopback,
/// unspecified, link-local, site-local, unique local, multicast and IPv4-compatible
/// addresses are outside of it.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    !matches!(
        address.segments(),
        [0..=0x1fff | 0x4000..=0xffff, ..]
            // protocol assignments, including Teredo (2001::/23)
            | [0x2001, 0..=0x1ff, ..]
            // documentation (the second is 3fff::/20)
            | [0x2001, 0x0db8, ..]
            | [0x3fff, 0..=0x0fff, ..]
    )
}

/// Returns the IPv4 address to which packets are finally routed: IPv4-mapped, NAT64
/// and 6to4. Other addresses that embed one are not public anyway.
pub(crate) fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => (high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_all(addresses: &[&str], public: bool) {
        for address in addresses {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }

    #[test]
    fn internet_addresses_are_public() {
        assert_all(
            &[
                "1.1.1.1",
                "8.8.8.8",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.255.255.255",
                "128.0.0.0",
                "169.253.255.255",
                "169.255.0.0",
                "172.15.255.255",
                "172.32.0.0",
                "192.0.1.0",
                "192.0.3.0",
                "192.167.255.255",
                "192.169.0.0",
                "198.17.255.255",
                "198.20.0.0",
                "223.255.255.255",
                "2606:4700:4700::1111",
                "2001:200::1",
                "2001:4860:4860::8888",
                "2a00:1450::1",
                "3ffe:ffff::1",
            ],
            true,
        );
    }

    #[test]
    fn local_and_private_addresses_are_not_public() {
        assert_all(
            &[
                "0.0.0.0",
                "0.1.2.3",
                "127.0.0.1",
                "127.255.255.255",
                "10.0.0.0",
                "10.255.255.255",
                "172.16.0.0",
                "172.31.255.255",
                "192.168.0.0",
                "192.168.255.255",
                "169.254.0.0",
                "169.254.169.254",
                "100.64.0.0",
                "100.127.255.255",
                "::",
                "::1",
                "fe80::1",
                "febf::1",
                "fec0::1",
                "fc00::1",
                "fdff::1",
            ],
            false,
        );
    }

    #[test]
    fn reserved_addresses_are_not_public() {
        assert_all(
            &[
                "192.0.0.1",
                "168.63.129.16",
                "192.0.2.1",
                "192.88.99.1",
                "198.18.0.0",
                "198.19.255.255",
                "198.51.100.1",
                "203.0.113.1",
                "224.0.0.1",
                "239.255.255.255",
                "240.0.0.1",
                "255.255.255.255",
                "ff02::1",
                "100::1",
                "2001::1",
                "2001:2::1",
                "2001:1ff::1",
                "2001:db8::1",
                "3fff::1",
                "3fff:fff::1",
                "5f00::1",
            ],
            false,
        );
    }

    #[test]
    fn address_that_embeds_ipv4_is_classified_by_it() {
        assert_all(
            &[
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "::ffff:169.254.169.254",
                "64:ff9b::10.0.0.1",
                "2002:7f00:1::",
                "2002:c0a8:101::1",
                // Not allocated, so the embedded address does not matter.
                "::127.0.0.1",
                "::8.8.8.8",
                "::ffff:0:8.8.8.8",
                "64:ff9b:1::8.8.8.8",
            ],
            false,
        );
        assert_all(
            &["::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"],
            true,
        );
    }
}
