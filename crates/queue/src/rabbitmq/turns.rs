//! Order in which a connection tries the servers of a cluster.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Servers that each connection tried last, by the connection's name.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<BTreeMap<String, SocketAddr>>);

impl Turns {
    /// Returns the servers in random order, the one tried last at the end.
    pub(super) fn order<T>(
        &self,
        name: &str,
        servers: Vec<T>,
        address: impl Fn(&T) -> SocketAddr,
    ) -> Vec<T> {
        let last = self.lock().get(name).copied();
        let random = RandomState::new();
        let mut servers = servers;
        servers.sort_by_cached_key(|server| {
            let address = address(server);
            (Some(address) == last, random.hash_one(address))
        });
        servers
    }

    /// Records that a connection tries a server.
    pub(super) fn record(&self, name: &str, address: SocketAddr) {
        self.lock().insert(name.to_owned(), address);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn servers() -> Vec<SocketAddr> {
        (1..=4).map(|port| ([127, 0, 0, 1], port).into()).collect()
    }

    #[test]
    fn every_server_is_first_sometimes() {
        let turns = Turns::default();
        let first = |_| turns.order("c", servers(), |server| *server)[0];
        let firsts: BTreeSet<_> = (0..200).map(first).collect();
        assert_eq!(firsts.len(), servers().len());
    }

    #[test]
    fn the_server_tried_last_comes_last_for_its_connection_only() {
        let turns = Turns::default();
        let last = servers()[2];
        turns.record("c", last);
        for _ in 0..50 {
            let order = turns.order("c", servers(), |server| *server);
            assert_eq!(order.last(), Some(&last));
            let order: BTreeSet<_> = order.into_iter().collect();
            assert_eq!(order, servers().into_iter().collect());
        }
        let first = |_| turns.order("other", servers(), |server| *server)[0];
        assert!((0..200).map(first).any(|server| server == last));
    }
}
