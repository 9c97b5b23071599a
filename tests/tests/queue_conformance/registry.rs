//! Registry of endpoints on RabbitMQ while several programs read it.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use wahook_queue::{Declaration, EndpointQueues};

use crate::place::Place;

const ENDPOINTS: usize = 15;
const READERS: usize = 4;
const READS: usize = 5;

async fn open(place: &Place) -> EndpointQueues {
    let opened = EndpointQueues::open(&place.broker(), "registry").await;
    opened.unwrap()
}

pub(crate) async fn readers_at_the_same_time_see_all_endpoints(place: &mut Place) {
    let texts = (0..ENDPOINTS).map(|number| format!("endpoint-{number} order.*"));
    let all: BTreeSet<Declaration> = texts.map(|text| text.parse().unwrap()).collect();
    // Stays open: a lock ends with the read.
    let first = open(place).await;
    first.register(&all).await.unwrap();

    let readers = (0..READERS).map(|_| async {
        let queues = open(place).await;
        for _ in 0..READS {
            let read = queues.register(&BTreeSet::new()).await.unwrap();
            assert_eq!(read, all);
        }
        queues.close().await;
    });
    join_all(readers).await;
    first.close().await;
}
