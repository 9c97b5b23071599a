//! Dead letters of a data file that a command changes next to the running process.

use rusqlite::Connection;
use wahook_domain::UnixMillis;
use wahook_embedded::open_dead_letters;
use wahook_queue::{Broker, DeadLetters, Outgoing, Receipt, topology as names};
use wahook_tests::eventually::{AT_LAST, eventually};

use crate::place::{Place, all, endpoint, event};

async fn add_letter(place: &mut Place, id: &str) {
    let now = UnixMillis::new(1_727_784_035_000);
    let event = event("call", id);
    let letter = Outgoing::dead_letter(&event, &endpoint("default"), "answered 500", now);
    place.publish(letter).await.unwrap();
}

/// Takes all dead letters; returns their receipts.
async fn take_all(broker: &Broker) -> Vec<Receipt> {
    let mut letters = DeadLetters::open(broker, "conformance").await.unwrap();
    let mut receipts = Vec::new();
    while let Some((_, receipt)) = letters.next().await.unwrap() {
        receipts.push(receipt);
    }
    letters.close().await;
    receipts
}

/// Waits until a reader of the process finds this number of dead letters, and takes them.
async fn wait_taken(place: &Place, expected: usize) -> Vec<Receipt> {
    let broker = place.broker();
    eventually(AT_LAST, "the dead letters", || async {
        let taken = take_all(&broker).await;
        (taken.len() == expected).then_some(taken)
    })
    .await
}

pub(crate) async fn dead_letters_that_another_process_removes_are_not_held(place: &mut Place) {
    place.connect(&all()).await.close().await;
    for id in ["e1", "e2", "e3", "e4", "e5"] {
        add_letter(place, id).await;
    }
    let held = take_all(&place.broker()).await;
    assert_eq!(held.len(), 5);
    let command = open_dead_letters(&place.data()).unwrap();
    for receipt in take_all(&command).await.into_iter().take(2) {
        receipt.ack().await.unwrap();
    }
    drop(held);
    wait_taken(place, 3).await;
}

pub(crate) async fn dead_letters_that_another_process_makes_are_found(place: &mut Place) {
    place.connect(&all()).await.close().await;
    let queued = event("call", "queued");
    place.publish(Outgoing::event(&queued)).await.unwrap();
    add_letter(place, "e1").await;
    for receipt in wait_taken(place, 1).await {
        receipt.ack().await.unwrap();
    }
    wait_taken(place, 0).await;
    // The message is older than the dead letter that was read.
    let data = Connection::open(place.data()).unwrap();
    let made = data.execute("UPDATE messages SET queue = ?1", [names::DEAD_QUEUE]);
    assert_eq!(made.unwrap(), 1);
    wait_taken(place, 1).await;
}

pub(crate) async fn a_removal_that_fails_is_reported(place: &mut Place) {
    place.connect(&all()).await.close().await;
    add_letter(place, "e1").await;
    let data = Connection::open(place.data()).unwrap();
    data.execute_batch(
        "CREATE TRIGGER full BEFORE DELETE ON messages BEGIN SELECT RAISE(ABORT, 'full'); END",
    )
    .unwrap();
    let command = open_dead_letters(&place.data()).unwrap();
    let mut letters = DeadLetters::open(&command, "conformance").await.unwrap();
    let (_, receipt) = letters.next().await.unwrap().unwrap();
    let _ = receipt.ack().await;
    let failed = letters.flush().await.unwrap_err().to_string();
    assert!(failed.contains("could not be removed: full"), "{failed}");
    letters.close().await;
}
