//! `wahook samples`: one of each documented event.

use clap::{Args, builder::PossibleValuesParser};
use std::io::{Write, stderr, stdout};
use uuid::Uuid;
use wahook_domain::{EventId, KnownEvent, samples};
use wahook_runtime::Shutdown;

use crate::{
    answer::Verdict,
    producer::Producer,
    send::remark,
    settings::{Access, To},
};

/// Which samples.
#[derive(Debug, Args)]
pub struct SamplesArguments {
    /// Only of these events
    #[arg(value_name = "EVENT", value_parser = names())]
    events: Vec<String>,
    /// Print them, one JSON object a line, and send nothing
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    pub(crate) to: To,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(KnownEvent::ALL.map(KnownEvent::as_str))
}

/// Sends them; false where one was refused.
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
    let mut all_taken = true;
    for (event, sample) in chosen {
        if stop.is_soft() {
            anyhow::bail!("stopped before {event}");
        }
        // A new id each time: with that of its body, a sample that is sent
        // twice would be taken for a repeat.
        let id = EventId::from(Uuid::now_v7());
        match producer.send(sample.to_owned(), Some(&id)).await? {
            Verdict::Taken(taken) => {
                writeln!(stdout(), "{event:<24}{}", taken.id)?;
                remark(&taken, "  ")?;
            }
            Verdict::Refused(refusal) => {
                all_taken = false;
                writeln!(stderr(), "{event:<24}refused: {refusal}")?;
            }
            Verdict::NotNow(refusal) => anyhow::bail!("{event} was not taken: {refusal}"),
        }
    }
    Ok(all_taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_in_the_order_of_the_names() {
        for (event, sample) in KnownEvent::ALL.into_iter().zip(samples()) {
            let expected = format!(r#"{{"event":"{event}","#);
            assert!(sample.starts_with(&expected), "{event}: {sample}");
        }
        assert_eq!(samples().count(), KnownEvent::ALL.len());
    }
}
