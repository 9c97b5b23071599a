//! A store as the spool of a producer.

use std::{fs, path::PathBuf};

use bytes::Bytes;
use tokio::sync::oneshot;
use wahook_domain::EventId;
use wahook_queue::{MessageMetadata, Received, Stored, local};

use super::*;

/// Folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("wahook-spool-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("spool.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

async fn publish(store: &Store, id: &str) {
    let message = Stored {
        metadata: MessageMetadata {
            id: Some(EventId::parse(id).unwrap()),
            ..MessageMetadata::default()
        },
        payload: Bytes::from_static(&[b' '; 100]),
    };
    let (done, confirmed) = oneshot::channel();
    let message = Box::new(message.to_queue(SPOOL_QUEUE));
    store.queue().submit(Command::Publish(message, done));
    confirmed.await.unwrap().unwrap();
}

async fn take(store: &Store, messages: usize, bytes: usize) -> Vec<Received> {
    let taken = local::take_batch(&store.queue(), SPOOL_QUEUE, messages, bytes).await;
    taken.into_iter().map(Received::from).collect()
}

fn ids(taken: &[Received]) -> Vec<String> {
    let ids = taken.iter().map(|received| received.dead_letter().id);
    ids.map(Option::unwrap).collect()
}

#[tokio::test]
async fn spool_gives_its_messages_in_order_until_they_are_acked() {
    let folder = Folder::new("order");
    let (store, backlog) = Store::open_spool(&folder.file()).unwrap();
    assert_eq!(backlog, Backlog::default());
    for id in ["a", "b", "c", "d", "e"] {
        publish(&store, id).await;
    }
    let first = take(&store, 2, 10_000).await;
    assert_eq!(ids(&first), ["a", "b"]);
    // One more than the bytes allow, or a large message would never be taken.
    let second = take(&store, 10, 150).await;
    assert_eq!(ids(&second), ["c", "d"]);
    for received in first {
        received.receipt.ack().await.unwrap();
    }
    drop(second);
    drop(store);

    let (store, backlog) = Store::open_spool(&folder.file()).unwrap();
    assert_eq!((backlog.messages, backlog.bytes), (3, 300));
    publish(&store, "f").await;
    let rest = take(&store, 10, 10_000).await;
    assert_eq!(ids(&rest), ["c", "d", "e", "f"]);
    assert!(take(&store, 10, 10_000).await.is_empty());
    drop(rest);
}

#[tokio::test]
async fn rejected_message_of_a_spool_stays_in_another_queue() {
    let folder = Folder::new("rejected");
    let (store, _) = Store::open_spool(&folder.file()).unwrap();
    publish(&store, "a").await;
    for received in take(&store, 1, 1).await {
        received.receipt.reject().await.unwrap();
    }
    drop(store);
    let (_store, backlog) = Store::open_spool(&folder.file()).unwrap();
    assert_eq!(backlog.messages, 0);
    let db = open::open_any_read_only(&folder.file()).unwrap();
    let queue: String = db
        .query_row("SELECT queue FROM messages", [], |row| row.get(0))
        .unwrap();
    assert_eq!(queue, "wahook.spool.rejected");
}

#[test]
fn data_file_and_spool_are_not_opened_as_the_other() {
    let folder = Folder::new("purpose");
    let data = folder.0.join("wahook.db");
    drop(Store::open(&data).unwrap());
    drop(Store::open_spool(&folder.file()).unwrap());
    let refused = Store::open_spool(&data).map(drop);
    assert!(matches!(refused, Err(OpenError::NoSpool(_))), "{refused:?}");
    let refused = Store::open(&folder.file()).map(drop);
    assert!(matches!(refused, Err(OpenError::Spool(_))), "{refused:?}");
    assert!(crate::EmbeddedReader::open(&folder.file()).is_err());
    assert!(crate::open_dead_letters(&folder.file()).is_err());
    let problems = crate::check(&folder.file(), crate::Depth::Full).unwrap();
    assert!(problems.is_empty(), "{problems:?}");
    drop(Store::open(&data).unwrap());
    drop(Store::open_spool(&folder.file()).unwrap());
}
