//! Messages of a data file that another process may have open, for the commands `dead` and
//! `endpoints`.
//!
//! SQLite allows several processes to write, one at a time, and the running process keeps
//! no dead letters in memory. So they can be read and removed next to it. A redrive inserts
//! a waiting message that is due immediately; the running process checks for such messages
//! twice a second.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::watch;
use wahook_domain::UnixMillis;
use wahook_queue::{
    Broker, LinkState, LocalQueue, Outgoing, PublishError, Stored,
    local::{Command, Delivered, Settlement, SharedQueue, Tag},
};

use crate::{census, declared, error::OpenError, messages, open, reassign};

/// Due time before that of any other message.
const DUE_NOW: UnixMillis = UnixMillis::new(0);

/// Opens the file next to a running process, to read and remove messages.
///
/// # Errors
/// If the file does not exist, was not written by wahook, or is in use by an older wahook.
pub fn open_dead_letters(path: &Path) -> Result<Broker, OpenError> {
    let db = open::open_shared(path)?;
    let (link_sender, link) = watch::channel(LinkState::default());
    link_sender.send_modify(LinkState::connected);
    let store = Arc::new_cyclic(|own| DeadLetterStore {
        own: own.clone(),
        state: Mutex::new(State {
            db,
            cursor: 0,
            failure: None,
        }),
        link,
        _link: link_sender,
    });
    Ok(Broker::Local(store))
}

struct DeadLetterStore {
    /// Receives the settlements of messages.
    own: std::sync::Weak<Self>,
    state: Mutex<State>,
    link: watch::Receiver<LinkState>,
    _link: watch::Sender<LinkState>,
}

struct State {
    db: Connection,
    /// Last message that was read. Each message is read once, and stays in the file until
    /// it is acked.
    cursor: i64,
    /// First failure that nobody has asked for.
    failure: Option<String>,
}

impl LocalQueue for DeadLetterStore {
    fn submit(&self, command: Command) {
        // The receiver of a reply may be gone.
        match command {
            Command::Publish(outgoing, confirm) => {
                let scheduled = self.state().schedule(*outgoing);
                let _ = confirm.send(match scheduled {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(PublishError::Unroutable),
                    Err(error) => Err(self.fail("redriven", &error)),
                });
            }
            Command::Take(take) => {
                let next = || self.next_message(&take.queue);
                let taken = std::iter::from_fn(next).take(take.messages).collect();
                let _ = take.answer.send(taken);
            }
            Command::Depth(queue, answer) => {
                let depth = messages::count(&self.state().db, &queue);
                let _ = answer.send(depth.unwrap_or_else(|error| {
                    self.fail("counted", &error);
                    0
                }));
            }
            Command::Settle(Tag(seq), Settlement::Ack) => {
                let removed = messages::delete(&self.state().db, seq);
                if let Err(error) = removed {
                    self.fail("removed", &error);
                }
            }
            Command::Failure(answer) => {
                let _ = answer.send(self.state().failure.take());
            }
            Command::Census(answer) => {
                let census = census::read(&self.state().db);
                match census {
                    Ok(census) => {
                        let _ = answer.send(census);
                    }
                    Err(error) => {
                        self.fail("counted", &error);
                    }
                }
            }
            Command::Reassign(reassignment, answer) => {
                let moved = reassign::reassign(&self.state().db, &reassignment);
                let _ = answer.send(moved.unwrap_or_else(|error| Err(self.fail("moved", &error))));
            }
            // Other settlements change nothing, because the message is still in the file;
            // the command `dead` does not subscribe.
            _ => {}
        }
    }

    fn link(&self) -> watch::Receiver<LinkState> {
        self.link.clone()
    }
}

impl DeadLetterStore {
    fn next_message(&self, queue: &str) -> Option<Delivered> {
        let own: SharedQueue = self.own.upgrade()?;
        let mut state = self.state();
        match messages::after(&state.db, queue, state.cursor, 1) {
            Ok((found, _)) => {
                let next = found.into_iter().next()?;
                state.cursor = next.seq;
                Some(Delivered::new(next.message, true, Tag(next.seq), own))
            }
            Err(error) => {
                drop(state);
                self.fail("read", &error);
                None
            }
        }
    }

    /// Logs a failure and keeps the first one.
    fn fail(&self, what: &str, error: &rusqlite::Error) -> PublishError {
        tracing::error!(%error, "message could not be {what}");
        let failure = format!("message could not be {what}: {error}");
        self.state().failure.get_or_insert(failure);
        PublishError::Refused
    }

    /// Ignores poisoning: the state is consistent after each step.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Stores a message for a redrive. Returns false if its queue does not exist.
    fn schedule(&self, outgoing: Outgoing) -> rusqlite::Result<bool> {
        let queue = outgoing.address().1.to_owned();
        let is_declared = declared::has(&self.db, &queue)?;
        if is_declared {
            messages::insert_waiting(&self.db, DUE_NOW, None, &queue, &Stored::from(outgoing))?;
        }
        Ok(is_declared)
    }
}
