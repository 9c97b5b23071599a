//! Interface of the erasure of a person's data in the log.

use crate::LogFuture;

/// Erasure of records, implemented for MongoDB and for the data file. Records keep id, event,
/// endpoint, source, session, status and times; payload, chat, message and the receivers'
/// answers are removed.
pub trait LogEraser: Send + Sync + 'static {
    /// Counts the records of events of these chats.
    fn count<'a>(&'a self, chats: &'a [String]) -> LogFuture<'a, ChatRecords>;

    /// Erases some records of events of these chats, durably. Returns their number; 0 if there
    /// are none left.
    fn erase<'a>(&'a self, chats: &'a [String]) -> LogFuture<'a, u64>;
}

/// Numbers of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChatRecords {
    pub records: u64,
    /// Of these, records whose delivery is not concluded: the event waits in a queue.
    pub retrying: u64,
}
