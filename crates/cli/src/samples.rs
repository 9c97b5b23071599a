//! `wahook samples`: sends a sample of each documented event.

use clap::{Args, builder::PossibleValuesParser};
use std::io::{Write, stderr, stdout};
use uuid::Uuid;
use wahook_domain::{EventId, KnownEvent, samples};
use wahook_runtime::{Shutdown, printable};

use crate::{
    answer::Verdict,
    producer::Producer,
    send::print_remarks,
    settings::{Access, ProducerOptions},
};

#[derive(Debug, Args)]
pub struct SamplesArguments {
    /// Send only samples of these events
    #[arg(value_name = "EVENT", value_parser = names())]
    events: Vec<String>,
    /// Print the samples, one JSON object per line, instead of sending them
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    pub(crate) producer: ProducerOptions,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(KnownEvent::ALL.map(KnownEvent::as_str))
}

/// Sends the samples. Returns false if one was rejected.
pub(crate) async fn run(
    arguments: SamplesArguments,
    access: Access,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let chosen = KnownEvent::ALL
        .into_iter()
        .zip(samples())
        .filter(|(event, _)| {
            let is_named = |name: &String| name == event.as_str();
            arguments.events.is_empty() || arguments.events.iter().any(is_named)
        });
    if arguments.list {
        for (_, sample) in chosen {
            writeln!(stdout(), "{sample}")?;
        }
        return Ok(true);
    }
    let producer = Producer::new(&access)?;
    let mut all_accepted = true;
    for (event, sample) in chosen {
        if stop.is_soft() {
            anyhow::bail!("stopped before {event}");
        }
        // A new id each time: with an id derived from the body, a sample that is sent twice
        // would be a duplicate.
        let id = EventId::from(Uuid::now_v7());
        match producer.send(sample.to_owned(), Some(&id)).await? {
            Verdict::Accepted(accepted) => {
                writeln!(stdout(), "{event:<24}{}", printable(&accepted.id))?;
                print_remarks(&accepted, "  ")?;
            }
            Verdict::Refused(refusal) => {
                all_accepted = false;
                writeln!(stderr(), "{event:<24}rejected: {refusal}")?;
            }
            Verdict::NotNow(refusal) => anyhow::bail!("{event} was not accepted: {refusal}"),
        }
    }
    Ok(all_accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_in_the_order_of_their_names() {
        for (event, sample) in KnownEvent::ALL.into_iter().zip(samples()) {
            let expected = format!(r#"{{"event":"{event}","#);
            assert!(sample.starts_with(&expected), "{event}: {sample}");
        }
        assert_eq!(samples().count(), KnownEvent::ALL.len());
    }
}
