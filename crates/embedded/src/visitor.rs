//! The dead letters of a file that another process may be working on, for the command
//! `dead`.
//!
//! SQLite lets several processes write, one after the other, and nobody keeps dead letters
//! in memory. So a letter can be looked at and removed beside a running program; one that is
//! redriven is put among those that wait, due at once, where the program looks twice a
//! second.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::watch;
use wahook_domain::UnixMillis;
use wahook_queue::{
    Broker, LinkState, LocalQueue, Outgoing, PublishError, Received, Stored,
    local::{Command, Settlement, SharedQueue, Tag},
};

use crate::{OpenError, declared, messages, open};

/// Due before everything else.
const AT_ONCE: UnixMillis = UnixMillis::new(0);

/// Opens the file beside whoever has it, for looking through queues and ending messages.
///
/// # Errors
/// When the file is not there, or is none of ours.
pub fn visit(path: &Path) -> Result<Broker, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let db = open::connect(path)?;
    let (link_sender, link) = watch::channel(LinkState::default());
    link_sender.send_modify(LinkState::connected);
    let visitor = Arc::new_cyclic(|own| Visitor {
        own: own.clone(),
        state: Mutex::new(State { db, cursor: 0 }),
        link,
        _link: link_sender,
    });
    Ok(Broker::Local(visitor))
}

struct Visitor {
    /// What messages that are taken are given back to.
    own: std::sync::Weak<Self>,
    state: Mutex<State>,
    link: watch::Receiver<LinkState>,
    _link: watch::Sender<LinkState>,
}

struct State {
    db: Connection,
    /// The last message that was taken. Each is taken once, and stays where it is until it is
    /// ended.
    cursor: i64,
}

impl LocalQueue for Visitor {
    fn submit(&self, command: Command) {
        // Whoever waited for an answer may be gone.
        match command {
            Command::Publish(outgoing, confirm) => {
                let kept = self.state().keep_waiting(*outgoing);
                let _ = confirm.send(match kept {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(PublishError::Unroutable),
                    Err(error) => Err(refused("redriven", &error)),
                });
            }
            Command::Take(queue, answer) => {
                let _ = answer.send(self.take(&queue));
            }
            Command::Depth(queue, answer) => {
                let depth = messages::count(&self.state().db, &queue);
                let _ = answer.send(depth.unwrap_or_else(|error| {
                    refused("counted", &error);
                    0
                }));
            }
            Command::Settle(Tag(seq), Settlement::Ack) => {
                if let Err(error) = messages::delete(&self.state().db, seq) {
                    refused("removed", &error);
                }
            }
            // What is not ended has never left its place, and nobody subscribes.
            _ => {}
        }
    }

    fn link(&self) -> watch::Receiver<LinkState> {
        self.link.clone()
    }
}

impl Visitor {
    fn take(&self, queue: &str) -> Option<Received> {
        let own: SharedQueue = self.own.upgrade()?;
        let mut state = self.state();
        match messages::after(&state.db, queue, state.cursor, 1) {
            Ok((found, _)) => {
                let next = found.into_iter().next()?;
                state.cursor = next.seq;
                Some(Received::local(next.message, true, Tag(next.seq), own))
            }
            Err(error) => {
                refused("read", &error);
                None
            }
        }
    }

    /// Each step leaves the state whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Says whether there is such a queue.
    fn keep_waiting(&self, outgoing: Outgoing) -> rusqlite::Result<bool> {
        let queue = outgoing.address().1.to_owned();
        let is_there = declared::has(&self.db, &queue)?;
        if is_there {
            messages::insert_waiting(&self.db, AT_ONCE, &queue, &Stored::from(outgoing))?;
        }
        Ok(is_there)
    }
}

fn refused(what: &str, error: &rusqlite::Error) -> PublishError {
    tracing::error!(%error, "a message can't be {what}");
    PublishError::Refused
}
