//! Registry of the endpoints that consumers have declared: messages of
//! `wahook.endpoints`, each with a name and its event patterns.
//!
//! Reading takes all messages and requeues them; repeated ones are removed. Two
//! readers at once see a part each, so an endpoint may be registered twice, and
//! is never lost.

use std::collections::BTreeSet;

use lapin::{
    BasicProperties, Channel, Confirmation, Connection,
    options::{BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions},
};

use super::{
    connection,
    deadline::with_deadline,
    error::is_not_found,
    inspector::{ALL_UNACKED, REQUEUE_ALL, RemoteLookError},
};
use crate::{
    declaration::Declaration,
    topology::{ENDPOINTS_QUEUE, Topology},
};

/// Messages that one read takes at most.
const MAX_MESSAGES: usize = 10_000;
const PERSISTENT: u8 = 2;

/// Adds the declarations that are missing, and returns all. Without any, nothing
/// is declared at the broker.
pub(super) async fn register(
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
