//! Handle to the embedded store.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
};

use tokio::sync::watch;
use wahook_queue::{
    Broker, LinkState, LocalQueue, PublishError,
    local::{Command, SharedQueue},
};

use crate::{
    census,
    destination::{self, Destination},
    engine::Engine,
    error::OpenError,
    file_lock::FileLock,
    log::EmbeddedLog,
    open::{self, Opened},
    request::Request,
};

/// Maximum number of unconfirmed publishes; more are rejected.
const MAX_UNCONFIRMED: usize = 8_192;

/// Open data file with its thread. Dropping it executes all pending requests and closes the
/// file.
pub struct Store {
    requests: mpsc::Sender<Request>,
    queue: SharedQueue,
    thread: Option<JoinHandle<()>>,
    /// Held while the thread may write.
    _lock: FileLock,
}

struct EmbeddedQueue {
    requests: mpsc::Sender<Request>,
    link: watch::Receiver<LinkState>,
    unconfirmed: Arc<AtomicUsize>,
    path: PathBuf,
}

impl Store {
    /// Opens the file, or creates it. Only one process can have it open.
    ///
    /// # Errors
    /// If another process has it open, or it can't be created, read or written.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Self::start(path, open::open(path)?)
    }

    /// Opens the file as [`Self::open`], for deliveries to a destination.
    ///
    /// # Errors
    /// As [`Self::open`], and if the destination is the test receiver and the file holds
    /// events for a webhook.
    pub fn open_for(path: &Path, destination: &Destination) -> Result<Self, OpenError> {
        let opened = open::open(path)?;
        destination::enter(&opened.db, path, destination)?;
        Self::start(path, opened)
    }

    fn start(path: &Path, opened: Opened) -> Result<Self, OpenError> {
        let (requests, receiver) = mpsc::channel();
        let (link_sender, link) = watch::channel(LinkState::default());
        link_sender.send_modify(LinkState::connected);
        let unconfirmed = Arc::new(AtomicUsize::new(0));
        let queue: SharedQueue = Arc::new(EmbeddedQueue {
            requests: requests.clone(),
            link,
            unconfirmed: Arc::clone(&unconfirmed),
            path: path.to_owned(),
        });
        let shared = Arc::clone(&queue);
        let engine = Engine::new(opened.db, receiver, shared, link_sender, unconfirmed)
            .map_err(|error| OpenError::Database(path.to_owned(), error))?;
        let thread = thread::Builder::new().name("wahook-store".to_owned());
        let thread = thread.spawn(move || engine.run());
        let thread = thread.map_err(|error| OpenError::Lock(path.to_owned(), error))?;
        Ok(Self {
            requests,
            queue,
            thread: Some(thread),
            _lock: opened.lock,
        })
    }

    /// Returns the queue, for producer and consumer.
    #[must_use]
    pub fn broker(&self) -> Broker {
        Broker::Local(Arc::clone(&self.queue))
    }

    /// Returns the delivery log.
    #[must_use]
    pub fn log(&self) -> EmbeddedLog {
        EmbeddedLog::new(self.requests.clone())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Fails only if the thread has already ended.
        let _ = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("store thread panicked");
        }
    }
}

impl LocalQueue for EmbeddedQueue {
    fn submit(&self, command: Command) {
        let command = match command {
            Command::Census(answer) => return census::answer(self.path.clone(), answer),
            other => other,
        };
        if matches!(command, Command::Publish(..)) {
            let before = self.unconfirmed.fetch_add(1, Ordering::Relaxed);
            if before >= MAX_UNCONFIRMED {
                self.unconfirmed.fetch_sub(1, Ordering::Relaxed);
                if let Command::Publish(_, confirm) = command {
                    let _ = confirm.send(Err(PublishError::Busy));
                }
                return;
            }
        }
        // A closed store drops the command, which closes its reply channel.
        let _ = self.requests.send(Request::Queue(command));
    }

    fn link(&self) -> watch::Receiver<LinkState> {
        self.link.clone()
    }
}
