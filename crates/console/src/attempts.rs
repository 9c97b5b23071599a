//! Limit of wrong tokens per client (pure).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Wrong tokens of a client within a window.
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Clients with wrong tokens at the same time; beyond it, further ones wait for a window's end.
const MOST_CLIENTS: usize = 10_000;

/// Wrong tokens of all clients.
#[derive(Debug, Default)]
pub(crate) struct Attempts(HashMap<IpAddr, Window>);

#[derive(Debug)]
struct Window {
    ends_at: Duration,
    wrong: u32,
}

impl Attempts {
    /// Returns the time that a client has to wait before its next attempt, if any.
    pub(crate) fn wait(&mut self, peer: IpAddr, now: Duration) -> Option<Duration> {
        let peer = network(peer);
        if self.0.len() >= MOST_CLIENTS && !self.0.contains_key(&peer) {
            self.0.retain(|_, window| window.ends_at > now);
            if self.0.len() >= MOST_CLIENTS {
                return Some(WINDOW);
            }
        }
        let window = self.0.get(&peer)?;
        let left = window.ends_at.checked_sub(now)?;
        (window.wrong >= MOST && !left.is_zero()).then_some(left)
    }

    /// Counts a wrong token.
    pub(crate) fn note_wrong(&mut self, peer: IpAddr, now: Duration) {
        let window = self.0.entry(network(peer)).or_insert(Window {
            ends_at: now + WINDOW,
            wrong: 0,
        });
        if window.ends_at <= now {
            window.ends_at = now + WINDOW;
            window.wrong = 0;
        }
        window.wrong += 1;
    }
}

/// Returns the address that identifies a client: an IPv4 address, or the /64 network of an
/// IPv6 address, of which one client may use every address.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(5);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn eleventh_attempt_within_a_minute_has_to_wait() {
        let mut attempts = Attempts::default();
        let peer = ip("192.0.2.1");
        for _ in 0..MOST {
            assert_eq!(attempts.wait(peer, START), None);
            attempts.note_wrong(peer, START);
        }
        assert_eq!(attempts.wait(peer, START), Some(WINDOW));
        assert_eq!(attempts.wait(ip("192.0.2.2"), START), None);
        assert_eq!(attempts.wait(peer, START + WINDOW), None);
        attempts.note_wrong(peer, START + WINDOW);
        assert_eq!(attempts.wait(peer, START + WINDOW), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        let mut attempts = Attempts::default();
        for number in 0..MOST {
            attempts.note_wrong(ip(&format!("2001:db8::{number}")), START);
        }
        assert!(attempts.wait(ip("2001:db8::ffff"), START).is_some());
        assert!(attempts.wait(ip("2001:db8:0:1::1"), START).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut attempts = Attempts::default();
        for number in 0..MOST_CLIENTS {
            let peer = std::net::Ipv4Addr::from_bits(u32::try_from(number).unwrap());
            attempts.note_wrong(peer.into(), START);
        }
        let other = ip("198.51.100.1");
        assert_eq!(attempts.wait(other, START), Some(WINDOW));
        assert_eq!(attempts.wait(other, START + WINDOW), None);
        assert!(attempts.0.is_empty());
    }
}
