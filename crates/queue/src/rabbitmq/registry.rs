//! Registry of the endpoints that consumers have declared: messages of
//! `wahook.endpoints`, each with a name and its event patterns.
//!
//! Reading takes all messages and requeues them; repeated ones are removed. Two
//! readers at once would see a part each, so one waits for the other. A user without the
//! permission for the lock does not wait, nor does a program of an earlier version: an
//! endpoint may then be registered twice, and is never lost.

use std::{collections::BTreeSet, time::Duration};

use futures_util::FutureExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{
        BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions,
        QueueDeleteOptions,
    },
};
use tokio::time::{sleep, timeout};

use super::{
    connection,
    deadline::with_deadline,
    error::is_not_found,
    inspector::{ALL_UNACKED, REQUEUE_ALL, RemoteLookError},
};
use crate::{
    declaration::Declaration,
    topology::{ENDPOINTS_LOCK_QUEUE, ENDPOINTS_QUEUE, Topology},
};

/// Messages that one read takes at most.
const MAX_MESSAGES: usize = 10_000;
const PERSISTENT: u8 = 2;
/// Time limit for other readers.
const LOCK_LIMIT: Duration = Duration::from_secs(30);
/// Pause before the next attempt to lock.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// Time limit for the broker to requeue what was read.
const REQUEUE_LIMIT: Duration = Duration::from_secs(5);

/// Lock of the registry, until it is released or dropped.
struct Lock(Option<Channel>);

impl Lock {
    /// Waits until no other program reads the registry. Returns `None` without the permission.
    async fn wait(connection: &Connection) -> Result<Option<Self>, RemoteLookError> {
        let locked = async {
            loop {
                match connection::lock(connection, ENDPOINTS_LOCK_QUEUE).await {
                    Ok(Some(channel)) => return Ok(Some(Self(Some(channel)))),
                    Ok(None) => sleep(LOCK_PAUSE).await,
                    Err(error) if error.is_refused() => {
                        tracing::debug!(%error, "endpoints are read without a lock");
                        return Ok(None);
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        };
        let locked = timeout(LOCK_LIMIT, locked).await;
        locked.unwrap_or(Err(RemoteLookError::RegistryLocked { waited: LOCK_LIMIT }))
    }

    /// Deletes the queue, and waits until it is gone: if this connection took the lock again
    /// before that, it would lose it.
    async fn release(mut self) -> Result<(), RemoteLookError> {
        if let Some(channel) = self.0.take() {
            let deleted = channel.queue_delete(ENDPOINTS_LOCK_QUEUE.into(), Self::delete(false));
            with_deadline(deleted).await??;
        }
        Ok(())
    }

    fn delete(nowait: bool) -> QueueDeleteOptions {
        QueueDeleteOptions {
            nowait,
            ..QueueDeleteOptions::default()
        }
    }
}

impl Drop for Lock {
    /// Deletes the queue after a read that was cancelled.
    fn drop(&mut self) {
        if let Some(channel) = &self.0 {
            let deleted = channel.queue_delete(ENDPOINTS_LOCK_QUEUE.into(), Self::delete(true));
            // The first poll sends it. If the connection is lost, the broker deletes the queue.
            let _ = deleted.now_or_never();
        }
    }
}

/// Adds the declarations that are missing, and returns all. Without any, nothing
/// is declared at the broker.
pub(super) async fn register(
    connection: &Connection,
    declared: &BTreeSet<Declaration>,
) -> Result<BTreeSet<Declaration>, RemoteLookError> {
    let lock = Lock::wait(connection).await?;
    let registered = read_and_add(connection, declared).await;
    let released = match lock {
        Some(lock) => lock.release().await,
        None => Ok(()),
    };
    let known = registered?;
    released?;
    Ok(known)
}

async fn read_and_add(
    connection: &Connection,
    declared: &BTreeSet<Declaration>,
) -> Result<BTreeSet<Declaration>, RemoteLookError> {
    let channel = connection::channel(connection).await?;
    if declared.is_empty() {
        let queue = connection::declare_passive(&channel, ENDPOINTS_QUEUE);
        match with_deadline(queue).await? {
            Err(error) if is_not_found(&error) => return Ok(BTreeSet::new()),
            queue => queue?,
        };
    } else {
        Topology::declarations().declare(&channel).await?;
    }
    let mut known = take_all(&channel).await?;
    let missing: Vec<_> = declared.difference(&known).cloned().collect();
    if !missing.is_empty() {
        with_deadline(channel.confirm_select(ConfirmSelectOptions::default())).await??;
    }
    for declaration in missing {
        publish(&channel, &declaration).await?;
        known.insert(declaration);
    }
    with_deadline(channel.basic_nack(ALL_UNACKED, REQUEUE_ALL)).await??;
    // For those that read next. A program that reads without the lock may hold some.
    let messages = u32::try_from(known.len()).unwrap_or(u32::MAX);
    connection::until_ready(&channel, ENDPOINTS_QUEUE, messages, REQUEUE_LIMIT).await?;
    with_deadline(channel.close(200, "read".into())).await??;
    Ok(known)
}

/// Takes all messages, and acks those that repeat another or can't be read.
async fn take_all(channel: &Channel) -> Result<BTreeSet<Declaration>, RemoteLookError> {
    let mut known = BTreeSet::new();
    for _ in 0..MAX_MESSAGES {
        let get = channel.basic_get(ENDPOINTS_QUEUE.into(), BasicGetOptions::default());
        let Some(got) = with_deadline(get).await?? else {
            break;
        };
        let text = str::from_utf8(&got.delivery.data).unwrap_or_default();
        let is_new = match text.parse() {
            Ok(declaration) => known.insert(declaration),
            Err(_) => false,
        };
        if !is_new {
            with_deadline(got.delivery.acker.ack(BasicAckOptions::default())).await??;
        }
    }
    Ok(known)
}

async fn publish(channel: &Channel, declaration: &Declaration) -> Result<(), RemoteLookError> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let properties = BasicProperties::default()
        .with_content_type("text/plain".into())
        .with_delivery_mode(PERSISTENT);
    let text = declaration.to_string();
    let sent = with_deadline(async {
        channel
            .basic_publish(
                "".into(),
                ENDPOINTS_QUEUE.into(),
                options,
                text.as_bytes(),
                properties,
            )
            .await?
            .await
    });
    match sent.await?? {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(RemoteLookError::NotRegistered),
    }
}
