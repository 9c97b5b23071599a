//! Interface of the erasure of a person's data in the log.

use wahook_domain::jid;

use crate::LogFuture;

/// Erasure of records, implemented for MongoDB and for the data file. Records keep id, event,
/// endpoint, source, session, status and times; payload, chat, message and the receivers'
/// answers are removed.
pub trait LogEraser: Send + Sync + 'static {
    /// Counts the records of events of these chats.
    fn count<'a>(&'a self, chats: &'a Chats) -> LogFuture<'a, ChatRecords>;

    /// Erases some concluded records of events of these chats, durably. Returns their number; 0
    /// if there are none left. Other records stay whole, so that a later erasure finds them with
    /// the attempts that follow.
    fn erase<'a>(&'a self, chats: &'a Chats) -> LogFuture<'a, u64>;
}

/// Numbers of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChatRecords {
    /// Records whose delivery is concluded.
    pub concluded: u64,
    /// Records whose delivery is not concluded: the event waits in a queue.
    pub retrying: u64,
}

/// Chats of a person or group, in all spellings that the log may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chats {
    /// Whole ids.
    pub ids: Vec<String>,
    /// Ids that also name a device.
    pub devices: Vec<Devices>,
}

/// Ids of a chat's devices, such as `15550001111:7@s.whatsapp.net` and
/// `15550001111.0:7@s.whatsapp.net`. Letters, digits, `-`, `_` and `.` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices {
    pub user: String,
    pub server: String,
}

impl Chats {
    /// Returns true if the chat is one of these.
    #[must_use]
    pub fn has(&self, chat: &str) -> bool {
        self.ids.iter().any(|id| id == chat) || self.devices.iter().any(|devices| devices.has(chat))
    }
}

impl Devices {
    fn has(&self, chat: &str) -> bool {
        let server = chat.split_once('@').map(|(_, server)| server);
        server == Some(&self.server) && jid::user(chat) == self.user
    }
}
