//! Batches of lines, read ahead of the sender by a separate thread.

use std::{io, thread};
use tokio::sync::mpsc;

use super::{
    source::{Line, Source},
    stamp::{STAMP_BYTES, needs_stamp},
};

/// Maximum size of a batch. The producer accepts 1 MiB by default, and 10,000 lines.
/// Smaller batches cost hardly any throughput, and a kill repeats fewer lines.
const BATCH_BYTES: usize = 900_000;
pub(super) const BATCH_LINES: usize = 2_000;

/// Lines that are sent in one request.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// Bytes of the file read up to the last line of the batch.
    pub(super) read: u64,
    bytes: usize,
}

/// A line that is not blank.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) line: Line,
    /// True if the line gets a timestamp.
    pub(super) is_stamped: bool,
}

impl Event {
    fn new(line: Line) -> Self {
        let is_stamped = !line.is_too_long() && needs_stamp(&line.text);
        Self { line, is_stamped }
    }

    /// Returns the size in a batch, line end included.
    pub(super) fn bytes(&self) -> usize {
        let stamp = if self.is_stamped { STAMP_BYTES } else { 0 };
        self.line.text.len() + stamp + 1
    }
}

/// Reads ahead while one batch is being sent and one waits, so memory does not depend on
/// the size of the file. An error is the last item.
pub(super) fn read_ahead(source: Source, most_lines: usize) -> mpsc::Receiver<io::Result<Batch>> {
    let (sender, receiver) = mpsc::channel(1);
    // A thread, not a task: a stop must not wait for a line from a terminal.
    thread::spawn(move || read(source, most_lines, &sender));
    receiver
}

fn read(mut source: Source, most_lines: usize, sender: &mpsc::Sender<io::Result<Batch>>) {
    let mut batch = Batch::default();
    loop {
        let event = match source.next() {
            Ok(Some(line)) if line.text.trim_ascii().is_empty() => continue,
            Ok(Some(line)) => Event::new(line),
            ended => {
                if !batch.events.is_empty() && sender.blocking_send(Ok(batch)).is_err() {
                    return;
                }
                if let Err(error) = ended {
                    // Ignored: without a receiver the import has ended.
                    let _ = sender.blocking_send(Err(error));
                }
                return;
            }
        };
        let is_full = batch.events.len() >= most_lines || batch.bytes + event.bytes() > BATCH_BYTES;
        if is_full && !batch.events.is_empty() {
            if sender.blocking_send(Ok(batch)).is_err() {
                return;
            }
            batch = Batch::default();
        }
        batch.bytes += event.bytes();
        batch.events.push(event);
        batch.read = source.progress().0;
    }
}
