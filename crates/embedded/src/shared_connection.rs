//! Connection that writes to the data file next to the process that has it open.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::task::spawn_blocking;
use wahook_delivery_log::LogFuture;

use crate::{
    error::{OpenError, unavailable},
    open,
};

/// Connection that clones share.
#[derive(Clone)]
pub(crate) struct SharedConnection(Arc<Mutex<Connection>>);

impl SharedConnection {
    /// Opens the file.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let db = open::open_shared(path)?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// Runs `work` on the connection. It may wait for the end of another writer's transaction.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> LogFuture<'static, T> {
        let db = Arc::clone(&self.0);
        Box::pin(async move {
            let done = spawn_blocking(move || {
                // A transaction is rolled back when it is dropped, also by a panic.
                let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
                work(&mut db)
            });
            done.await.map_err(unavailable)?.map_err(unavailable)
        })
    }
}
