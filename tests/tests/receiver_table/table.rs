//! Rows of one receiver: each alone, and all of them against one process.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use futures_util::future::join_all;
use tokio::sync::Mutex;
use wahook_tests::pair::Pair;
use wahook_tests::raw_receiver::{RawReceiver, Step};
use wahook_tests::receiver::Receiver;
use wahook_tests::world::{Test, Tests};

use crate::ending::{Ending, assert_counts, assert_ends};
use crate::heads;
use crate::rows::{self, FINE, Row, fine};

/// Maximum growth of the process during the whole table, in bytes.
const MOST_GROWTH: f64 = 20e6;
/// Successful deliveries before the first measurement, which fill pools and arenas.
const WARM_UP: usize = 300;

pub(crate) fn add(tests: &mut Tests) {
    tests.add("the_whole_table_does_not_grow_the_process", whole_table);
    for Row { name, .. } in all_rows("") {
        tests.add(format!("{name}_has_the_expected_outcome"), move |test| {
            ends(test, name)
        });
    }
}

/// Returns all rows; one of them redirects to `elsewhere`.
fn all_rows(elsewhere: &str) -> Vec<Row> {
    let mut all = rows::rows(elsewhere);
    all.extend(heads::odd_heads());
    all.extend(heads::malformed_lines());
    all
}

/// Producer and consumer with a receiver of all rows. The default receiver must get no request.
struct Table {
    pair: Pair,
    receiver: RawReceiver,
    rows: Vec<Row>,
}

impl Table {
    async fn start(test: &Test) -> Self {
        let elsewhere = Receiver::start().await;
        let rows = all_rows(&elsewhere.url());
        let script: BTreeMap<&str, Vec<Step>> = rows
            .iter()
            .map(|row| (row.name, row.steps.clone()))
            .collect();
        let receiver =
            RawReceiver::answering(move |event| script.get(event).cloned().unwrap_or_else(fine))
                .await;
        let url = receiver.url();
        let settings = [
            ("WEBHOOK_URL", url.as_str()),
            ("WEBHOOK_RETRY_ATTEMPTS", "0"),
            ("WEBHOOK_CIRCUIT", "off"),
        ];
        let pair = test.pair(elsewhere, &settings).await;
        Self {
            pair,
            receiver,
            rows,
        }
    }

    /// Returns the table that all tests of a single row share; it stops with the last of them.
    async fn shared(test: &Test) -> Arc<Self> {
        static TABLE: Mutex<Weak<Table>> = Mutex::const_new(Weak::new());
        let mut shared = TABLE.lock().await;
        if let Some(table) = shared.upgrade() {
            return table;
        }
        let table = Arc::new(Self::start(test).await);
        *shared = Arc::downgrade(&table);
        table
    }

    /// Delivers the event of the row, then one that succeeds.
    async fn play(&self, row: &Row) {
        assert_ends(&self.pair, row.name, &row.ending).await;
        let requests = self.receiver.requests(row.name);
        assert!(
            (1..=row.most_requests()).contains(&requests),
            "{}",
            row.name
        );
        assert_ends(&self.pair, FINE, &Ending::delivered(200)).await;
        assert!(
            self.pair.receiver.posts().is_empty(),
            "a redirect was followed"
        );
    }
}

async fn ends(test: Test, name: &str) {
    let table = Table::shared(&test).await;
    let row = table.rows.iter().find(|row| row.name == name).unwrap();
    table.play(row).await;
}

async fn whole_table(test: Test) {
    let table = Table::start(&test).await;
    let delivered = Ending::delivered(200);
    join_all((0..WARM_UP).map(|_| assert_ends(&table.pair, FINE, &delivered))).await;
    let consumer = table.pair.take_consumer();
    let before = resident(&consumer.metrics().await);
    join_all(table.rows.iter().map(|row| table.play(row))).await;
    let growth = resident(&consumer.metrics().await) - before;
    println!(
        "the whole table: {:+.1} MB on {:.1} MB",
        growth / 1e6,
        before / 1e6
    );
    assert!(growth < MOST_GROWTH, "the process grew by {growth} bytes");

    let mut counts = BTreeMap::from([("delivered", WARM_UP + table.rows.len())]);
    for row in &table.rows {
        *counts.entry(row.ending.outcome).or_default() += 1;
    }
    table.pair.consumers.lock().unwrap().push(consumer);
    assert_counts(&table.pair, &counts.into_iter().collect::<Vec<_>>()).await;
}

fn resident(metrics: &wahook_tests::program::Metrics) -> f64 {
    metrics.get("process_resident_memory_bytes").unwrap()
}
