//! `wahook import`: all events of a file, each line once, however often the
//! command is stopped, killed and typed again.

mod batch_sender;
mod batches;
mod patience;
mod position;
mod progress;
mod refused;
mod source;
mod stamp;

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
    settings::{Access, To},
};
use batch_sender::BatchSender;
use batches::{BATCH_LINES, Batch, read_ahead};
use position::{Mark, Position, Tally};
use progress::Progress;
use refused::RefusedLines;
use source::Source;

/// What is imported.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// One JSON object a line, packed by gzip or not; `-` for standard input
    file: PathBuf,
    /// Events a second [default: as fast as they are taken]
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<NonZeroU32>,
    /// How long to go on trying while nothing is taken
    #[arg(long, value_name = "TIME", default_value = "5m")]
    patience: Age,
    /// Where it is kept how far the import is [default: FILE.position; none for standard input]
    #[arg(long, value_name = "FILE")]
    position: Option<PathBuf>,
    /// Where refused lines are written, with their numbers and the reasons [default: FILE.refused]
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    /// Forget how far it is, and begin anew
    #[arg(long)]
    restart: bool,
    #[command(flatten)]
    pub(crate) to: To,
}

/// Sends what was not sent yet; false where a line was ever refused.
pub(crate) async fn run(
    arguments: ImportArguments,
    access: Access,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let producer = Producer::new(&access)?;
    let opened = Source::open(&arguments.file)?;
    let mut position = arguments.open_position(producer.address())?;
    let mark = position.mark.clone();
    let source =
        begin(opened, mark.as_ref()).with_context(|| arguments.file.display().to_string())?;
    let refused_bytes = mark.as_ref().map_or(0, |mark| mark.refused_bytes);
    let mut refused = RefusedLines::open(arguments.refused_path(), refused_bytes)?;
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
        mark if position.is_kept() => {
            let line = mark.as_ref().map_or(0, |mark| mark.line);
            format!("it ended after line {line}; the same command goes on from there")
        }
        _ => "it did not come to the end".to_owned(),
    })?;
    Ok(tally.refused == 0)
}

/// At the line after the mark, once the line of the mark proves to be there.
fn begin(opened: source::Opened, mark: Option<&Mark>) -> anyhow::Result<Source> {
    let Some(mark) = mark else {
        return Ok(opened.begin_at(1, 0)?);
    };
    let mut source = opened.begin_at(mark.line, mark.start)?;
    let line = source.next()?;
    ensure!(
        line.is_some_and(|line| line.fingerprint() == mark.sha256),
        "line {} is no longer the one that was imported; begin anew with --restart",
        mark.line
    );
    Ok(source)
}

/// Batch after batch, each only once the one before it is settled and noted.
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
    let (begun, mut pace) = (Instant::now(), Pace::default());
    loop {
        let batch = unless_stopped(stop, batches.recv()).await?;
        let Some(batch) = batch.transpose().context("reading")? else {
            return Ok(());
        };
        let start = pace.reserve(begun.elapsed(), arguments.time_for(&batch));
        unless_stopped(stop, sleep_until(begun + start)).await?;
        let settled = sender.settle(&batch).await?;
        let mark = keep(&batch, &settled, position, refused)?;
        progress.advance(settled.tally.lines(), batch.read, mark.tally.refused)?;
    }
}

async fn unless_stopped<T>(stop: &Shutdown, wait: impl Future<Output = T>) -> anyhow::Result<T> {
    tokio::select! {
        done = wait => Ok(done),
        () = stop.soft() => anyhow::bail!("stopped"),
    }
}

/// The refused lines first: a position without them would lose them.
fn keep(
    batch: &Batch,
    settled: &batch_sender::Settled,
    position: &mut Position,
    refused: &mut RefusedLines,
) -> anyhow::Result<Mark> {
    for (place, refusal) in &settled.refused {
        if let Some(event) = batch.events.get(*place) {
            refused.add(&event.line, refusal)?;
        }
    }
    let before = position.mark.clone().unwrap_or_default();
    let last = batch.events.last().map(|event| &event.line);
    let mark = Mark {
        line: last.map_or(before.line, |line| line.number),
        start: last.map_or(before.start, |line| line.start),
        sha256: last.map_or(before.sha256, source::Line::fingerprint),
        tally: before.tally.and(settled.tally),
        refused_bytes: refused.keep()?,
    };
    position.advance(mark.clone())?;
    Ok(mark)
}

impl ImportArguments {
    fn is_stdin(&self) -> bool {
        self.file == Path::new("-")
    }

    fn open_position(&self, to: &str) -> anyhow::Result<Position> {
        let path = match &self.position {
            Some(path) => path.clone(),
            None if self.is_stdin() => return Ok(Position::unkept(clock::now())),
            None => beside(&self.file, ".position"),
        };
        Position::open(&path, to, clock::now(), self.restart)
    }

    fn refused_path(&self) -> PathBuf {
        match &self.refused {
            Some(path) => path.clone(),
            None if self.is_stdin() => PathBuf::from("import.refused"),
            None => beside(&self.file, ".refused"),
        }
    }

    /// At a rate, no more than half a second's at once.
    fn batch_lines(&self) -> usize {
        let rate = self.rate.map(|rate| rate.get() as usize / 2);
        rate.map_or(BATCH_LINES, |half| half.clamp(1, BATCH_LINES))
    }

    /// What a batch takes at the rate.
    fn time_for(&self, batch: &Batch) -> Duration {
        let lines = u32::try_from(batch.events.len()).unwrap_or(u32::MAX);
        self.rate.map_or(Duration::ZERO, |rate| {
            Duration::from_secs(1).saturating_mul(lines) / rate.get()
        })
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(ending);
    name.into()
}

fn summary(tally: &Tally, from: u64, refused: &Path) -> String {
    let mut text = format!("{} lines taken", tally.taken);
    let mut add = |number: u64, what: &str| {
        if number > 0 {
            text += &format!(", {number} {what}");
        }
    };
    add(tally.repeated, "of them repeats");
    add(tally.unwanted, "of them wanted by no endpoint");
    add(tally.warned, "of them with warnings");
    add(
        tally.refused,
        &format!("refused (see {})", refused.display()),
    );
    if from > 0 {
        text += &format!("; {from} of all by earlier runs");
    }
    text
}
