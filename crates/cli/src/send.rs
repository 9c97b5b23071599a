//! `wahook send`: sends one event.

use anyhow::{Context, ensure};
use clap::Args;
use std::{
    fs,
    io::{Read, Write, stderr, stdin, stdout},
    path::{Path, PathBuf},
};
use uuid::Uuid;
use wahook_domain::{EventId, EventName, json};
use wahook_runtime::printable;

use crate::{
    answer::{Accepted, Verdict},
    producer::Producer,
    settings::{Access, ProducerOptions},
};

/// Limit for the data in bytes; no producer accepts more.
const LARGEST_BYTES: u64 = 16 << 20;

#[derive(Debug, Args)]
pub struct SendArguments {
    /// Name of the event, such as message_create
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Data of the event, a JSON object [default: {}]
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// File with the data; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    file: Option<PathBuf>,
    /// Idempotency key, the same for a repeat [default: derived from the event with --timestamp, else new]
    #[arg(long)]
    id: Option<EventId>,
    /// Time of the event, such as 2026-01-31T12:00:00.000Z [default: now]
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,
    #[command(flatten)]
    pub(crate) producer: ProducerOptions,
}

/// Sends the event. Returns false if it was rejected.
pub(crate) async fn run(arguments: SendArguments, access: Access) -> anyhow::Result<bool> {
    let producer = Producer::new(&access)?;
    let data = arguments.read_data()?;
    let event = body(&arguments.event, &data, arguments.timestamp.as_deref())?;
    // Created here, so that it can be printed if the answer is lost.
    let id = match (arguments.id, &arguments.timestamp) {
        (Some(id), _) => Some(id),
        (None, Some(_)) => None,
        (None, None) => Some(EventId::from(Uuid::now_v7())),
    };
    let hint = match &id {
        Some(id) => format!("run the same command with --id {id} to retry without a duplicate"),
        None => "run the same command to retry without a duplicate".to_owned(),
    };
    let verdict = producer.send(event, id.as_ref()).await;
    match verdict.with_context(|| format!("unknown if the event was accepted; {hint}"))? {
        Verdict::Accepted(accepted) => {
            writeln!(stdout(), "{}", printable(&accepted.id))?;
            print_remarks(&accepted, "")?;
            Ok(true)
        }
        Verdict::Refused(refusal) => {
            writeln!(stderr(), "wahook send: rejected: {refusal}")?;
            Ok(false)
        }
        Verdict::NotNow(refusal) => anyhow::bail!("not accepted: {refusal}\n{hint}"),
    }
}

/// Prints the warnings about an accepted event to standard error.
pub(crate) fn print_remarks(accepted: &Accepted, indent: &str) -> anyhow::Result<()> {
    let mut err = stderr();
    for warning in &accepted.warnings {
        writeln!(err, "{indent}warning: {warning}")?;
    }
    if accepted.duplicate {
        writeln!(
            err,
            "{indent}duplicate: accepted before, within the last ten minutes; not published again"
        )?;
    }
    if accepted.endpoints == Some(0) {
        writeln!(err, "{indent}no endpoint wants this event: not delivered")?;
    }
    Ok(())
}

impl SendArguments {
    fn read_data(&self) -> anyhow::Result<String> {
        match (&self.data, &self.file) {
            (Some(data), _) => Ok(data.clone()),
            (None, Some(file)) if file == Path::new("-") => {
                read(&mut stdin().lock()).context("standard input")
            }
            (None, Some(file)) => {
                let open = fs::File::open(file).map_err(Into::into);
                open.and_then(|mut file| read(&mut file))
                    .with_context(|| file.display().to_string())
            }
            (None, None) => Ok("{}".to_owned()),
        }
    }
}

fn read(from: &mut impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(LARGEST_BYTES + 1).read_to_string(&mut text)?;
    ensure!(
        text.len() as u64 <= LARGEST_BYTES,
        "more than {LARGEST_BYTES} bytes, which no producer accepts"
    );
    Ok(text)
}

/// Builds the event. The data stays as written: only the producer changes its form.
fn body(event: &EventName, data: &str, timestamp: Option<&str>) -> anyhow::Result<String> {
    json::parse(data.as_bytes()).context("the data is not JSON")?;
    let event = serde_json::to_string(event.as_str())?;
    let timestamp = match timestamp {
        Some(time) => format!(r#","timestamp":{}"#, serde_json::to_string(time)?),
        None => String::new(),
    };
    Ok(format!(r#"{{"event":{event},"data":{data}{timestamp}}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_sent_as_it_was_written() {
        let name = EventName::parse("call").unwrap();
        assert_eq!(
            body(&name, r#"{"b":1.0, "a":"\ud83d"}"#, None).unwrap(),
            r#"{"event":"call","data":{"b":1.0, "a":"\ud83d"}}"#
        );
        assert_eq!(
            body(&name, "{}", Some(r#"a"b"#)).unwrap(),
            r#"{"event":"call","data":{},"timestamp":"a\"b"}"#
        );
    }

    #[test]
    fn invalid_json_is_rejected_with_its_offset() {
        let name = EventName::parse("call").unwrap();
        for bad in [r#"{}, "id": 1"#, "", "{'a':1}"] {
            let error = body(&name, bad, None).unwrap_err();
            assert!(format!("{error:#}").contains("at byte"), "{error:#}");
        }
    }
}
