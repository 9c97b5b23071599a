//! `wahook import`: sends all events of a file, each line once, even if the command is
//! stopped or killed and run again.

mod batch_sender;
mod batches;
#[cfg(test)]
mod hostile;
mod patience;
mod position;
mod progress;
mod refused;
mod source;
mod stamp;
mod used_files;

use anyhow::{Context, ensure};
use clap::Args;
use std::{
    ffi::OsString,
    io::{Write, stdout},
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};
use wahook_domain::Pace;
use wahook_runtime::{Age, Shutdown, clock};

use crate::{
    producer::Producer,
    settings::{Access, ProducerOptions},
};
use batch_sender::{BatchResult, BatchSender};
use batches::{BATCH_LINES, Batch, read_ahead};
use position::{Begin, Mark, Position, Tally};
use progress::Progress;
use refused::RefusedLines;
use source::Source;
use used_files::UsedFiles;

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// File with one JSON object per line, plain or gzip; `-` for standard input
    file: PathBuf,
    /// Events per second [default: as fast as they are accepted]
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<NonZeroU32>,
    /// Time limit for retries while nothing is accepted
    #[arg(long, value_name = "TIME", default_value = "5m")]
    patience: Age,
    /// File that stores the progress [default: FILE.position; none for standard input]
    #[arg(long, value_name = "FILE")]
    position: Option<PathBuf>,
    /// File for rejected lines, with their numbers and the reasons [default: FILE.refused]
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Ignore stored progress and start at the first line
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    pub(crate) producer: ProducerOptions,
}

/// Sends all lines after the stored position. Returns false if any line was ever rejected.
pub(crate) async fn run(
    arguments: ImportArguments,
    access: Access,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let producer = Producer::new(&access)?;
    let mut used = UsedFiles::default();
    let opened = Source::open(&arguments.file, &mut used)?;
    // All files are checked before the first one is created or changed.
    let mut refused = RefusedLines::open(arguments.refused_path(), &mut used)?;
    let begin = Begin {
        to: producer.address(),
        now: clock::now(),
        refused_bytes: refused.bytes(),
    };
    let mut position = arguments.open_position(&begin, &used)?;
    let mark = position.mark.clone();
    let source =
        start_after(opened, mark.as_ref()).with_context(|| arguments.file.display().to_string())?;
    refused.continue_at(position.refused_bytes());
    let sent = send_all(
        &arguments,
        source,
        &producer,
        &mut position,
        &mut refused,
        &stop,
    );
    let sent = sent.await;
    let tally = position.mark.as_ref().map_or(Tally::default(), |m| m.tally);
    let from = mark.map_or(0, |mark| mark.tally.lines());
    writeln!(stdout(), "{}", summary(&tally, from, refused.path()))?;
    sent.with_context(|| match &position.mark {
        mark if position.is_stored() => {
            let line = mark.as_ref().map_or(0, |mark| mark.line);
            format!("stopped after line {line}; run the same command to continue")
        }
        _ => "the import did not finish".to_owned(),
    })?;
    Ok(tally.refused == 0)
}

/// Starts at the line after the mark, if the line of the mark is unchanged.
fn start_after(opened: source::Opened, mark: Option<&Mark>) -> anyhow::Result<Source> {
    let Some(mark) = mark else {
        return Ok(opened.start_at(1, 0)?);
    };
    let mut source = opened.start_at(mark.line, mark.start)?;
    let line = source.next()?;
    ensure!(
        line.is_some_and(|line| line.fingerprint() == mark.sha256),
        "line {} is missing or has changed since it was imported; start from the first line with --restart",
        mark.line
    );
    Ok(source)
}

/// Sends the batches in order, each one after the result of the previous one is stored.
async fn send_all(
    arguments: &ImportArguments,
    source: Source,
    producer: &Producer,
    position: &mut Position,
    refused: &mut RefusedLines,
    stop: &Shutdown,
) -> anyhow::Result<()> {
    let (read, size) = source.progress();
    let mut progress = Progress::new(read, size);
    let mut sender = BatchSender::new(producer, position.begun_at, arguments.patience.get(), stop);
    let mut batches = read_ahead(source, arguments.batch_lines());
    let (started, mut pace) = (Instant::now(), Pace::default());
    loop {
        let batch = unless_stopped(stop, batches.recv()).await?;
        let Some(batch) = batch.transpose().context("can't read the lines")? else {
            return Ok(());
        };
        let start = pace.reserve(started.elapsed(), arguments.time_for(&batch));
        unless_stopped(stop, sleep_until(started + start)).await?;
        let result = sender.send(&batch).await?;
        let mark = store(&batch, &result, position, refused)?;
        progress.advance(result.tally.lines(), batch.read, mark.tally.refused)?;
    }
}

async fn unless_stopped<T>(stop: &Shutdown, wait: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::select! {
        done = wait => Ok(done),
        () = stop.soft() => anyhow::bail!("stopped"),
    }
}

/// Stores the result of a batch: the rejected lines before the position, so that a kill
/// loses none of them.
fn store(
    batch: &Batch,
    result: &BatchResult,
    position: &mut Position,
    refused: &mut RefusedLines,
) -> anyhow::Result<Mark> {
    for (index, refusal) in &result.refused {
        if let Some(event) = batch.events.get(*index) {
            refused.add(&event.line, refusal)?;
        }
    }
    let before = position.mark.clone().unwrap_or_default();
    let last = batch.events.last().map(|event| &event.line);
    let mark = Mark {
        line: last.map_or(before.line, |line| line.number),
        start: last.map_or(before.start, |line| line.start),
        sha256: last.map_or(before.sha256, source::Line::fingerprint),
        tally: before.tally.plus(result.tally),
        refused_bytes: refused.sync()?,
    };
    position.advance(mark.clone())?;
    Ok(mark)
}

impl ImportArguments {
    fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    fn open_position(&self, begin: &Begin<'_>, used: &UsedFiles) -> anyhow::Result<Position> {
        let path = match &self.position {
            Some(path) => path.clone(),
            None if self.is_stdin() => return Ok(Position::in_memory(begin.now)),
            None => with_suffix(&self.file, ".position"),
        };
        ensure!(
            path != self.refused_path(),
            "--position and --refused name the same file"
        );
        Position::open(&path, begin, self.restart, used)
    }

    fn refused_path(&self) -> PathBuf {
        match &self.refused {
            Some(path) => path.clone(),
            None if self.is_stdin() => PathBuf::from("import.refused"),
            None => with_suffix(&self.file, ".refused"),
        }
    }

    /// Returns the maximum size of a batch: with a rate, the lines of half a second.
    fn batch_lines(&self) -> usize {
        let rate = self.rate.map(|rate| rate.get() as usize / 2);
        rate.map_or(BATCH_LINES, |half| half.clamp(1, BATCH_LINES))
    }

    /// Returns the duration of a batch at the rate.
    fn time_for(&self, batch: &Batch) -> Duration {
        let lines = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(1).saturating_mul(lines) / rate.get()
        })
    }
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

fn summary(tally: &Tally, from: u64, refused: &Path) -> String {
    let mut text = format!("{} lines accepted", tally.accepted);
    let mut add = |number: u64, kind: &str| {
        if number > 0 {
            text += &format!(", {number} {kind}");
        }
    };
    add(tally.repeated, "of them duplicates");
    add(tally.unwanted, "of them wanted by no endpoint");
    add(tally.warned, "of them with warnings");
    add(
        tally.refused,
        &format!("rejected (see {})", refused.display()),
    );
    if from > 0 {
        text += &format!("; {from} of all in earlier runs");
    }
    text
}
