//! Commands that move or drop the queued events of an endpoint with several lanes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use wahook_tests::chats::{Chats, event_of};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::folder::RunFolder;
use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::Receiver;
use wahook_tests::world::{Test, Tests};

use super::{CHATS, SETTINGS, depths, emptied, registered, stop};

pub(super) fn add(tests: &mut Tests) {
    tests.add(
        "events_in_lanes_without_an_order_are_counted_and_moved_to_another_endpoint",
        moved,
    );
    tests.add(
        "events_in_lanes_without_an_order_are_counted_and_dropped",
        dropped,
    );
}

/// Queued events of an endpoint that was replaced by another one.
struct Replaced {
    pair: Pair,
    endpoints: PathBuf,
    _folder: RunFolder,
}

impl Replaced {
    /// Queues events in three lanes, and starts a consumer with the endpoint `other` instead.
    async fn start(test: &Test) -> Self {
        let pair = test.pair(Receiver::start().await, &SETTINGS).await;
        registered(&pair).await;
        stop(pair.take_consumer()).await;
        CHATS.post(&pair.producer.base_url()).await;
        let depths = depths(&pair).await;
        assert!(depths.iter().all(|depth| *depth > 0), "{depths:?}");
        let folder = RunFolder::temporary("endpoints").unwrap();
        let endpoints = folder.join("endpoints.toml");
        let (url, no) = (pair.receiver.url(), "events = [\"order.*\"]");
        let file = format!("[[endpoint]]\nname = \"other\"\nurl = \"{url}\"\n{no}\n");
        fs::write(&endpoints, file).unwrap();
        let replaced = Self {
            pair,
            endpoints,
            _folder: folder,
        };
        let file = replaced.endpoints.display().to_string();
        let other = [
            ("WEBHOOK_ENDPOINTS", file.as_str()),
            ("WEBHOOK_URL", ""),
            ("WEBHOOK_SECRET", ""),
            ("WEBHOOK_LANES", ""),
            ("WEBHOOK_RETRY_DELAY", ""),
        ];
        replaced.pair.add_consumer_with(&other).await;
        replaced
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        let file = self.endpoints.display().to_string();
        let place = self.pair.place();
        let settings = [
            ("AMQP_URL", place.amqp_url.as_str()),
            ("MONGODB_URI", place.mongodb_uri.as_str()),
            ("MONGODB_DATABASE", place.database.as_str()),
            ("WEBHOOK_ENDPOINTS", file.as_str()),
        ];
        let command = Command::start(ProgramName::Consumer, arguments, &settings);
        command.await.finish().await
    }

    /// Returns a value that the command `endpoints list` shows of the replaced endpoint.
    async fn listed(&self, value: &str) -> Value {
        let listed = self.run(&["endpoints", "list", "--json"]).await;
        let lines = listed.printed().lines();
        let rows = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut rows = rows.filter(|row| row["endpoint"] == "default");
        rows.next().unwrap()[value].clone()
    }
}

async fn moved(test: Test) {
    let replaced = Replaced::start(&test).await;
    let events = CHATS.chats * CHATS.each;
    assert_eq!(replaced.listed("queued").await, events);
    let moved = replaced
        .run(&["endpoints", "move", "default", "other"])
        .await;
    let expected = format!("{events} events of default moved");
    assert!(moved.printed().contains(&expected), "{moved:?}");
    let receiver = &replaced.pair.receiver;
    receiver.wait_for(events, AT_LAST).await;
    let posts = receiver.posts();
    let taken: BTreeSet<_> = posts.iter().map(|post| event_of(post)).collect();
    assert_eq!((posts.len(), taken.len()), (events, events));
    emptied(&replaced.pair).await;
    // The bindings are removed. No endpoint wants the event.
    let more = Chats { each: 21, ..CHATS };
    more.post(&replaced.pair.producer.base_url()).await;
    assert_eq!(depths(&replaced.pair).await, [0; 3]);
}

async fn dropped(test: Test) {
    let replaced = Replaced::start(&test).await;
    let events = CHATS.chats * CHATS.each;
    let dropped = replaced
        .run(&["endpoints", "drop", "default", "--yes"])
        .await;
    let expected = format!("{events} events of default made dead letters");
    assert!(dropped.printed().contains(&expected), "{dropped:?}");
    emptied(&replaced.pair).await;
    assert_eq!(replaced.listed("queued").await, 0);
    assert_eq!(replaced.listed("dead_letters").await, events);
    let redrive = ["dead", "redrive", "--endpoint", "default", "--to", "other"];
    let redriven = replaced.run(&redrive).await;
    let expected = format!("{events} of {events} dead letters redriven");
    assert!(redriven.printed().contains(&expected), "{redriven:?}");
    replaced.pair.receiver.wait_for(events, AT_LAST).await;
    assert_eq!(replaced.listed("dead_letters").await, 0);
}
