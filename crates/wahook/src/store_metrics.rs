//! Metrics of the data file: what RabbitMQ's own metrics show in the distributed
//! deployment.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use prometheus::{IntGauge, IntGaugeVec, Registry};
use tokio::{task::spawn_blocking, time::sleep};
use wahook_embedded::{DepthReader, Depths, OpenError};
use wahook_queue::topology;
use wahook_runtime::families;

/// Interval of the readings. Counting a million messages takes a fraction of a second, on
/// a connection of its own.
const READ_EVERY: Duration = Duration::from_secs(5);

families! {
    /// Families of the data file.
    StoreMetrics {
        /// Messages in a work queue of the data file, those in delivery included.
        queued: IntGaugeVec = "wahook_store_queued" ["queue"];
        /// Messages in the data file that wait for their next attempt.
        waiting: IntGauge = "wahook_store_waiting";
        /// Dead letters in the data file.
        dead_letters: IntGauge = "wahook_store_dead_letters";
        /// Bytes of the data file and its write-ahead log.
        file_bytes: IntGauge = "wahook_store_file_bytes";
    }
}

/// Registers the metrics of the file and keeps them current. Never returns after that.
///
/// # Errors
/// When the registry holds them already.
pub(crate) async fn keep_current(registry: &Registry, data: PathBuf) -> anyhow::Result<()> {
    let metrics = StoreMetrics::register(registry)?;
    let mut reader = None;
    loop {
        let path = data.clone();
        reader = match spawn_blocking(move || read(reader, &path)).await? {
            Ok((reader, depths)) => {
                metrics.set(&depths);
                Some(reader)
            }
            Err(error) => {
                tracing::warn!(%error, "metrics of the data file are not current");
                None
            }
        };
        sleep(READ_EVERY).await;
    }
}

/// Reads the numbers with the reader of the last time, if there is one.
fn read(reader: Option<DepthReader>, data: &Path) -> Result<(DepthReader, Depths), OpenError> {
    let reader = match reader {
        Some(reader) => reader,
        None => DepthReader::open(data)?,
    };
    let depths = reader.read()?;
    Ok((reader, depths))
}

impl StoreMetrics {
    fn set(&self, depths: &Depths) {
        // A queue that is empty now is missing.
        self.queued.reset();
        let mut dead_letters = 0;
        for (queue, messages) in &depths.queued {
            if queue == topology::DEAD_QUEUE {
                dead_letters = *messages;
            } else {
                self.queued.with_label_values(&[queue]).set(*messages);
            }
        }
        self.dead_letters.set(dead_letters);
        self.waiting.set(depths.waiting);
        let bytes = i64::try_from(depths.file_bytes).unwrap_or(i64::MAX);
        self.file_bytes.set(bytes);
    }
}
