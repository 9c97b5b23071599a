//! Which addresses belong to the public internet?
//!
//! The rest (this machine, its networks, and what the registries set aside) is
//! where services trust whoever can reach them, so an endpoint that somebody
//! else chose must not lead there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether packets to this address leave for the public internet. An IPv6
/// address that carries an IPv4 one is judged by that.
///
/// From IANA's special-purpose address registries; where only part of a block
/// is set aside, all of it counts as not public.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match carried_v4(address) {
            Some(carried) => is_public_v4(carried),
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
            // link-local, where clouds keep their credentials
            | [169, 254, ..]
            // private (172.16.0.0/12 and 192.168.0.0/16)
            | [172, 16..=31, ..]
            | [192, 168, ..]
            // protocol assignments, the relays of 6to4
            | [192, 0, 0, _]
            | [192, 88, 99, _]
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

/// Only 2000::/3 is given out; all else (loopback, unspecified, link-local,
/// site-local, unique local, multicast, IPv4-compatible) is none of it.
const fn is_public_v6(address: Ipv6Addr) -> bool {
    !matches!(
        address.segments(),
        [0..=0x1fff | 0x4000..=0xffff, ..]
            // protocol assignments, Teredo among them (2001::/23)
            | [0x2001, 0..=0x1ff, ..]
            // documentation (the second is 3fff::/20)
            | [0x2001, 0x0db8, ..]
            | [0x3fff, 0..=0x0fff, ..]
    )
}

/// The IPv4 address to which packets go on in the end: IPv4-mapped, NAT64 and
/// 6to4. The others that carry one are not public anyway.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
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
    fn addresses_of_the_internet_are_public() {
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
    fn addresses_of_this_machine_and_its_networks_are_not() {
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
    fn addresses_that_registries_set_aside_are_not() {
        assert_all(
            &[
                "192.0.0.1",
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
    fn an_address_that_carries_another_is_judged_by_that() {
        assert_all(
            &[
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.1",
                "::ffff:169.254.169.254",
                "64:ff9b::10.0.0.1",
                "2002:7f00:1::",
                "2002:c0a8:101::1",
                // Not given out, whatever they carry.
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
