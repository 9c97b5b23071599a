//! `erase`: removes the data of a person from log and dead letters.

mod erasure;
mod person;

use std::{
    io::{Write, stdout},
    pin::Pin,
    sync::Arc,
};

use anyhow::{Context, ensure};
use clap::Args;
use wahook_delivery_log::LogEraser;
use wahook_domain::ChatId;
use wahook_operator_state::Action;
use wahook_queue::Broker;
use wahook_runtime::{Shutdown, clock};

use crate::{endpoints::OpenOperatorState, operator};

pub use erasure::{Erased, Erasure};
pub use person::{InvalidNumber, Person, PhoneNumber};

/// Arguments of the command.
#[derive(Debug, Args)]
pub struct EraseArguments {
    #[command(flatten)]
    whose: Whose,
    /// Only count
    #[arg(long)]
    dry_run: bool,
}

/// Person whose data is erased.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// Id of a chat, such as 15550001111@c.us
    #[arg(long, value_name = "ID")]
    chat: Option<ChatId>,
    /// Phone number of a contact, with country code
    #[arg(long, value_name = "NUMBER")]
    number: Option<PhoneNumber>,
}

/// Future that opens the eraser of the log.
pub type OpenEraser = Pin<Box<dyn Future<Output = anyhow::Result<Arc<dyn LogEraser>>>>>;

/// Log, queues and record of actions of the command.
pub struct Sources {
    pub eraser: OpenEraser,
    pub operator: OpenOperatorState,
    /// Queues for the count.
    pub counted: Broker,
    /// The same queues for the removal. A data file that is opened returns each dead letter once.
    pub removed_from: Broker,
}

/// Runs the command.
///
/// # Errors
/// Fails if log or broker can't be reached, or something was not erased.
pub async fn run(
    arguments: EraseArguments,
    sources: Sources,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let Whose { chat, number } = arguments.whose;
    let by_chat = chat.map(|chat| Person::of_chat(&chat));
    let person = by_chat.or_else(|| number.map(|number| Person::of_number(&number)));
    let person = person.context("use --chat or --number")?;
    let eraser = sources.eraser.await.context("the log is needed")?;
    let mut erasure = Erasure {
        person: &person,
        eraser: eraser.as_ref(),
        broker: &sources.counted,
        shutdown: &shutdown,
    };
    let found = erasure.count().await?;
    if arguments.dry_run {
        writeln!(stdout(), "{}", found.text("would be erased"))?;
        return Ok(());
    }
    let operator = sources.operator.await.context("the log is needed")?;
    let action = Action {
        at: clock::now(),
        who: operator::of_command(),
        action: "erase".to_owned(),
        subject: person.subject().to_owned(),
        count: found.count(),
    };
    operator.record(&action).await?;
    erasure.broker = &sources.removed_from;
    let erased = erasure.run().await?;
    writeln!(stdout(), "{}", erased.text("erased"))?;
    ensure!(!shutdown.is_soft(), "interrupted: repeat the command");
    Ok(())
}
