//! Name look-ups of one endpoint: at most one at a time for each host.
//!
//! A look-up occupies a thread until the name servers answer or the system gives up,
//! which takes up to 30 s, also if the attempt that waits for it has ended. Without a
//! bound, the attempts of a few endpoints would occupy all threads and delay the others.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::{sync::watch, task::spawn_blocking};

type LookUp = dyn Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync;
/// Addresses, or the error text of the system.
type Found = Result<Vec<SocketAddr>, String>;
/// Result of a look-up, `None` while it is pending.
type Pending = watch::Receiver<Option<Found>>;

/// Look-ups of one endpoint.
#[derive(Clone)]
pub(crate) struct LookUps {
    look_up: Arc<LookUp>,
    /// Latest look-up of each host; an endpoint has at most two, with that of its proxy.
    latest: Arc<Mutex<HashMap<String, Pending>>>,
}

impl LookUps {
    /// Creates look-ups by the system: hosts file, name servers and their settings.
    pub(crate) fn system() -> Self {
        // Port 0 is replaced by the URL's port.
        Self::by(|host| Ok((host, 0).to_socket_addrs()?.collect()))
    }

    /// Creates look-ups by a function that may block.
    pub(crate) fn by(
        look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            look_up: Arc::new(look_up),
            latest: Arc::default(),
        }
    }

    /// Returns the addresses of a host. Joins a pending look-up of it; a completed one is
    /// not used again.
    pub(crate) async fn addresses(&self, host: &str) -> Found {
        let mut result = self.join_or_start(host);
        match result.wait_for(Option::is_some).await {
            Ok(found) => found.clone().unwrap_or_else(|| Ok(Vec::new())),
            Err(_) => Err("the look-up was aborted".to_owned()),
        }
    }

    fn join_or_start(&self, host: &str) -> Pending {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = latest.get(host)
            && result.borrow().is_none()
            && result.has_changed().is_ok()
        {
            return result.clone();
        }
        let (sender, result) = watch::channel(None);
        latest.insert(host.to_owned(), result.clone());
        let (look_up, host) = (Arc::clone(&self.look_up), host.to_owned());
        spawn_blocking(move || {
            let found = look_up(&host).map_err(|error| reason(&error));
            sender.send_replace(Some(found));
        });
        result
    }
}

/// Returns the system's text without the words that std puts before it.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(": ") {
        Some((_, reason)) => reason.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;
    use std::{
        sync::{
            Condvar,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    /// Name server that is silent until it is released.
    #[derive(Default)]
    struct Silent {
        released: Mutex<bool>,
        changed: Condvar,
        asked: AtomicUsize,
    }

    impl Silent {
        fn look_ups(self: &Arc<Self>) -> LookUps {
            let silent = Arc::clone(self);
            LookUps::by(move |_| {
                silent.asked.fetch_add(1, Ordering::Relaxed);
                let released = silent.released.lock().unwrap();
                drop(silent.changed.wait_while(released, |released| !*released));
                Err(io::Error::other(
                    "failed to look up: no name server answers",
                ))
            })
        }

        fn release(&self) {
            *self.released.lock().unwrap() = true;
            self.changed.notify_all();
        }
    }

    fn runtime(blocking_threads: usize) -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(blocking_threads)
            .build()
            .unwrap()
    }

    #[test]
    fn endpoints_with_a_silent_name_server_do_not_delay_another() {
        // One thread more than there are unfortunate endpoints.
        runtime(9).block_on(async {
            let silent = Arc::new(Silent::default());
            let unfortunate: Vec<_> = (0..8).map(|_| silent.look_ups()).collect();
            let waiting = unfortunate
                .iter()
                .flat_map(|look_ups| (0..100).map(|_| look_ups.addresses("hook.example")));
            let mut waiting = Box::pin(join_all(waiting));
            let healthy = LookUps::by(|_| Ok(vec![([127, 0, 0, 1], 0).into()]));
            let found = tokio::select! {
                _ = &mut waiting => panic!("the name server is silent"),
                found = healthy.addresses("good.example") => found,
                () = tokio::time::sleep(Duration::from_secs(30)) => {
                    silent.release();
                    panic!("the healthy look-up was starved");
                }
            };
            assert_eq!(found, Ok(vec![([127, 0, 0, 1], 0).into()]));
            silent.release();
            let failed = waiting.await;
            assert_eq!(failed.len(), 800);
            let words = Err("no name server answers".to_owned());
            assert!(failed.iter().all(|found| *found == words));
            assert_eq!(silent.asked.load(Ordering::Relaxed), 8);
        });
    }

    #[test]
    fn an_abandoned_look_up_is_joined_and_a_completed_one_is_repeated() {
        runtime(4).block_on(async {
            let silent = Arc::new(Silent::default());
            let look_ups = silent.look_ups();
            let limit = Duration::from_millis(1);
            for _ in 0..3 {
                let waited = tokio::time::timeout(limit, look_ups.addresses("a")).await;
                assert!(waited.is_err());
            }
            // Joins the look-up before it can complete.
            let joined = tokio::join!(look_ups.addresses("a"), async { silent.release() }).0;
            assert!(joined.is_err());
            assert!(look_ups.addresses("a").await.is_err());
            assert_eq!(silent.asked.load(Ordering::Relaxed), 2);
        });
    }
}
