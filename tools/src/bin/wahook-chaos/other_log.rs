//! Delivery log of one row on servers of its own.

use std::any::Any;
use std::sync::Arc;

use mongodb::Collection;
use mongodb::bson::Document;

pub(crate) struct OtherLog {
    pub(crate) uri: String,
    pub(crate) records: Collection<Document>,
    _servers: Arc<dyn Any + Send + Sync>,
}

impl OtherLog {
    /// Keeps the servers running as long as the log is in use.
    pub(crate) fn new<S: Any + Send + Sync>(
        uri: String,
        records: Collection<Document>,
        servers: &Arc<S>,
    ) -> Self {
        Self {
            uri,
            records,
            _servers: Arc::<S>::clone(servers),
        }
    }
}
