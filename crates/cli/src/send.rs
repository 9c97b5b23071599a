//! `wahook send`: one event.

use anyhow::{Context, ensure};
use clap::Args;
use std::{
    fs,
    io::{Read, Write, stderr, stdin, stdout},
    path::{Path, PathBuf},
};
use uuid::Uuid;
use wahook_domain::{EventId, EventName, json};

use crate::{
    answer::{Taken, Verdict},
    producer::Producer,
    settings::{Access, To},
};

/// The producer takes no larger event.
const LARGEST_BYTES: u64 = 16 << 20;

/// What is sent.
#[derive(Debug, Args)]
pub struct SendArguments {
    /// The event's name, such as message_create
    #[arg(value_name = "EVENT")]
    event: EventName,
    /// Its data, a JSON object [default: {}]
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
    /// A file with its data; `-` for standard input
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    file: Option<PathBuf>,
    /// Its id, the same for a repeat [default: made of the event where it has a timestamp, else new]
    #[arg(long)]
    id: Option<EventId>,
    /// When it happened, such as 2026-01-31T12:00:00.000Z [default: now]
    #[arg(long, value_name = "TIME")]
    timestamp: Option<String>,
    #[command(flatten)]
    pub(crate) to: To,
}

/// Sends it; false where it was refused.
pub(crate) async fn run(arguments: SendArguments, access: Access) -> anyhow::Result<bool> {
    let producer = Producer::new(&access)?;
    let data = arguments.read_data()?;
    let event = body(&arguments.event, &data, arguments.timestamp.as_deref())?;
    // Made here, so that it can be told when the answer is lost.
    let id = match (arguments.id, &arguments.timestamp) {
        (Some(id), _) => Some(id),
        (None, Some(_)) => None,
        (None, None) => Some(EventId::from(Uuid::now_v7())),
    };
    let again = match &id {
        Some(id) => format!("the same command with --id {id} repeats it without doubling it"),
        None => "the same command repeats it without doubling it".to_owned(),
    };
    let verdict = producer.send(event, id.as_ref()).await;
    match verdict.with_context(|| format!("it may be taken or not; {again}"))? {
        Verdict::Taken(taken) => {
            writeln!(stdout(), "{}", taken.id)?;
            remark(&taken, "")?;
            Ok(true)
        }
        Verdict::Refused(refusal) => {
            writeln!(stderr(), "wahook send: refused: {refusal}")?;
            Ok(false)
        }
        Verdict::NotNow(refusal) => anyhow::bail!("not taken: {refusal}\n{again}"),
    }
}

/// Says on standard error what is odd about an event that was taken.
pub(crate) fn remark(taken: &Taken, indent: &str) -> anyhow::Result<()> {
    let mut err = stderr();
    for warning in &taken.warnings {
        writeln!(err, "{indent}warning: {warning}")?;
    }
    if taken.duplicate {
        writeln!(
            err,
            "{indent}it was taken before, within the last ten minutes: not sent again"
        )?;
    }
    if taken.endpoints == Some(0) {
        writeln!(err, "{indent}no endpoint wants it: delivered to nobody")?;
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
        "more than {LARGEST_BYTES} bytes, which no producer takes"
    );
    Ok(text)
}

/// The data stays as it was written: the producer alone brings events into form.
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
    fn what_is_no_json_is_told_with_its_place_and_never_breaks_out_of_its_own() {
        let name = EventName::parse("call").unwrap();
        for bad in [r#"{}, "id": 1"#, "", "{'a':1}"] {
            let error = body(&name, bad, None).unwrap_err();
            assert!(format!("{error:#}").contains("at byte"), "{error:#}");
        }
    }
}
