//! Open connections of a server. Near the limit, the longest-idle ones are closed, so that
//! clients that hold idle connections lock out nobody else.

use std::{
    collections::HashMap,
    future::Future,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use tokio::task::{Id, JoinSet};

use super::activity::{Activity, Turns};

/// Limits of the open connections.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// All connections; beyond it, further ones wait in the system's backlog.
    pub(super) total: usize,
    /// Part of `total` that is kept free by closing idle connections, so that new
    /// clients, such as health checks, need not wait.
    pub(super) reserve: usize,
    /// Connections of one peer address; beyond it, its own idle ones are closed. Large,
    /// because a proxy has one address for all gateways behind it.
    pub(super) per_peer: usize,
}

pub(super) struct Connections {
    limits: Limits,
    tasks: JoinSet<()>,
    open: HashMap<Id, Open>,
    turns: Turns,
}

struct Open {
    peer: IpAddr,
    activity: Arc<Activity>,
    closing: bool,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            tasks: JoinSet::new(),
            open: HashMap::new(),
            turns: Turns::default(),
        }
    }

    /// Returns true if one more connection may be accepted.
    pub(super) fn has_room(&self) -> bool {
        self.open.len() < self.limits.total
    }

    /// Returns true if idle connections have to be closed.
    pub(super) fn is_crowded(&self) -> bool {
        self.excess(0) > 0
    }

    /// Serves a connection in a task of its own. First closes the longest-idle ones if
    /// there are too many; never the new one, whose request is still to come.
    pub(super) fn add<F>(&mut self, peer: IpAddr, serve: impl FnOnce(Arc<Activity>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let peer = network(peer);
        self.limit_peer(peer);
        self.close_idle(self.excess(1));
        let activity = Arc::new(Activity::new(&self.turns));
        let task = self.tasks.spawn(serve(Arc::clone(&activity)));
        let open = Open {
            peer,
            activity,
            closing: false,
        };
        self.open.insert(task.id(), open);
    }

    /// Closes idle connections until the reserve is free.
    pub(super) fn make_room(&mut self) {
        self.close_idle(self.excess(0));
    }

    /// Closes the longest-idle connection. Returns false if none is idle.
    pub(super) fn shed(&mut self) -> bool {
        close_longest_idle(self.open.values_mut().filter(|open| !open.closing))
    }

    /// Waits for the end of a connection. Returns `None` if none is open.
    pub(super) async fn ended(&mut self) -> Option<()> {
        let ended = self.tasks.join_next_with_id().await?;
        let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
        self.open.remove(&id);
        Some(())
    }

    fn close_idle(&mut self, count: usize) {
        for _ in 0..count {
            if !self.shed() {
                return;
            }
        }
    }

    /// Closes the longest-idle connection of a peer that has as many as allowed.
    fn limit_peer(&mut self, peer: IpAddr) {
        let most = self.limits.per_peer;
        let own = |open: &&mut Open| open.peer == peer && !open.closing;
        if self.open.len() >= most && self.open.values_mut().filter(own).count() >= most {
            close_longest_idle(self.open.values_mut().filter(own));
        }
    }

    /// Number of connections that have to be closed to free the reserve, once `coming`
    /// more are open.
    fn excess(&self, coming: usize) -> usize {
        let kept = self.limits.total - self.limits.reserve;
        let above = (self.open.len() + coming).saturating_sub(kept);
        if above == 0 {
            return 0;
        }
        let closing = self.open.values().filter(|open| open.closing).count();
        above.saturating_sub(closing)
    }
}

fn close_longest_idle<'a>(open: impl Iterator<Item = &'a mut Open>) -> bool {
    let idle = open.filter_map(|open| Some((open.activity.idle_since()?, open)));
    let Some((_, longest)) = idle.min_by_key(|(since, _)| *since) else {
        return false;
    };
    longest.closing = true;
    longest.activity.close();
    true
}

/// Returns the address that stands for a peer: an IPv6 host has a whole network of 64 bits.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limits(total: usize, reserve: usize, per_peer: usize) -> Connections {
        Connections::new(Limits {
            total,
            reserve,
            per_peer,
        })
    }

    /// Adds a connection that ends when it is asked to close.
    fn add(connections: &mut Connections, peer: &str) -> Arc<Activity> {
        let mut kept = None;
        connections.add(address(peer), |activity| {
            kept = Some(Arc::clone(&activity));
            async move { activity.close_requested().await }
        });
        kept.unwrap()
    }

    fn is_open(connections: &Connections, activity: &Arc<Activity>) -> bool {
        let mut open = connections.open.values();
        open.any(|open| Arc::ptr_eq(&open.activity, activity))
    }

    #[tokio::test]
    async fn longest_idle_connection_is_closed_first() {
        let mut connections = limits(4, 1, 4);
        let first = add(&mut connections, "10.0.0.1");
        let second = add(&mut connections, "10.0.0.2");
        let third = add(&mut connections, "10.0.0.3");
        // The first one answers a request, so the second one is idle longest.
        drop(first.answering());
        let fourth = add(&mut connections, "10.0.0.4");
        connections.ended().await.unwrap();
        assert!(!is_open(&connections, &second));
        assert!(
            [first, third, fourth]
                .iter()
                .all(|a| is_open(&connections, a))
        );
        assert!(connections.has_room());
    }

    #[tokio::test]
    async fn connection_with_a_request_in_progress_is_never_closed() {
        let mut connections = limits(2, 1, 2);
        let busy = add(&mut connections, "10.0.0.1");
        let answering = busy.answering();
        let idle = add(&mut connections, "10.0.0.1");
        connections.make_room();
        connections.ended().await.unwrap();
        assert!(is_open(&connections, &busy) && !is_open(&connections, &idle));
        let also_busy = add(&mut connections, "10.0.0.1");
        let _answering = also_busy.answering();
        assert!(!connections.has_room());
        drop(answering);
        assert!(connections.is_crowded());
        connections.make_room();
        connections.ended().await.unwrap();
        assert!(!is_open(&connections, &busy) && connections.has_room());
    }

    #[tokio::test]
    async fn peer_above_its_limit_loses_its_own_idle_connection() {
        let mut connections = limits(100, 10, 2);
        let other = add(&mut connections, "10.0.0.9");
        let first = add(&mut connections, "2001:db8::1");
        let second = add(&mut connections, "2001:db8::2");
        let third = add(&mut connections, "2001:db8:0:0:ffff::3");
        connections.ended().await.unwrap();
        assert!(!is_open(&connections, &first), "one network of 64 bits");
        assert!(
            [other, second, third]
                .iter()
                .all(|a| is_open(&connections, a))
        );
    }

    #[test]
    fn mapped_address_is_the_same_peer() {
        assert_eq!(network(address("::ffff:10.0.0.1")), address("10.0.0.1"));
    }

    #[tokio::test]
    async fn without_connections_nothing_ends() {
        let mut connections = limits(2, 1, 2);
        connections.add(address("10.0.0.1"), |_| pending());
        assert!(connections.has_room());
        assert!(connections.shed(), "idle");
        assert!(!connections.shed(), "already closing");
    }
}
