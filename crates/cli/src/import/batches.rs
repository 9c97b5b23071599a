//! Lines in batches, read ahead of what is being sent by a thread of its own.

use std::{io, thread};
use tokio::sync::mpsc;

use super::{
    source::{Line, Source},
    stamp::{STAMP_BYTES, is_needed},
};

/// The producer takes 1 MiB where nothing else is set, and 10,000 lines. Smaller
/// batches cost hardly any throughput, and a kill repeats less.
const BATCH_BYTES: usize = 900_000;
pub(super) const BATCH_LINES: usize = 2_000;

/// What is sent at once.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) events: Vec<Event>,
    /// Bytes of the file that are read with its last line.
    pub(super) read: u64,
    bytes: usize,
}

/// A line that is not blank.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) line: Line,
    /// Whether it is given a time.
    pub(super) is_stamped: bool,
}

impl Event {
    fn new(line: Line) -> Self {
        let is_stamped = !line.is_too_long() && is_needed(&line.text);
        Self { line, is_stamped }
    }

    /// What it takes in a batch, with the line's end.
    pub(super) fn bytes(&self) -> usize {
        let stamp = if self.is_stamped { STAMP_BYTES } else { 0 };
        self.line.text.len() + stamp + 1
    }
}

/// Reads on while one batch is being sent and one waits: no more memory is
/// needed, however long the file is. An error is the last that comes.
pub(super) fn read_ahead(source: Source, most_lines: usize) -> mpsc::Receiver<io::Result<Batch>> {
    let (sender, receiver) = mpsc::channel(1);
    // Not a task: whoever stops need not wait for a line from a terminal.
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
                    // Whoever no longer listens does not miss it.
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
