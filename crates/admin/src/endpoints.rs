//! `endpoints`: commands on endpoints, above all on those that were removed from the
//! settings while events were queued for them.

mod at_broker;
mod list;
mod sources;
mod survey;
mod target;
mod transfer;

use anyhow::bail;
use clap::Subcommand;
use wahook_domain::EndpointName;
use wahook_queue::EndpointQueues;
use wahook_runtime::Shutdown;

pub use sources::{OpenLog, Sources};
use survey::Survey;
use target::Target;
use transfer::Transfer;

/// Commands on endpoints.
#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// List endpoints: whether they are configured, and what is queued for them
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Move the queued events of a removed endpoint to a configured one
    ///
    /// For an endpoint that was renamed. Ids, attempts and times are kept. A move that was
    /// interrupted can be repeated.
    Move {
        /// Name of the removed endpoint
        old: EndpointName,
        /// Name of a configured endpoint
        new: EndpointName,
        /// Only report what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Make dead letters of the queued events of a removed endpoint
    ///
    /// `dead list --endpoint OLD` shows them, `dead redrive --endpoint OLD --to NEW` sends them
    /// to another endpoint, `dead discard --endpoint OLD` removes them.
    Drop {
        /// Name of the removed endpoint
        old: EndpointName,
        /// Confirm
        #[arg(long)]
        yes: bool,
        /// Only report what would be done
        #[arg(long)]
        dry_run: bool,
    },
}

/// Runs the command.
///
/// # Errors
/// Fails if the command is refused, broker or log can't be reached, or an event was not
/// moved.
pub async fn run(
    command: EndpointsCommand,
    sources: Sources,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let queues = EndpointQueues::open(&sources.broker, "wahook-consumer endpoints").await?;
    let done = run_on(&queues, command, sources, &shutdown).await;
    queues.close().await;
    done
}

async fn run_on(
    queues: &EndpointQueues,
    command: EndpointsCommand,
    sources: Sources,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let Sources {
        broker,
        configured,
        log,
    } = sources;
    let (old, target, dry_run) = match command {
        EndpointsCommand::List { json } => {
            return list::list(queues, configured, &broker, json).await;
        }
        EndpointsCommand::Move { old, new, dry_run } => (old, Target::Endpoint(new), dry_run),
        EndpointsCommand::Drop { old, yes, dry_run } => {
            if !yes && !dry_run {
                bail!(
                    "all events that are queued for {old} would become dead letters: add --yes to \
                     confirm, or --dry-run to count them"
                );
            }
            (old, Target::DeadLetters, dry_run)
        }
    };
    let named = [&old].into_iter().chain(target.endpoint()).cloned();
    let survey = Survey::read(queues, configured, named.collect()).await?;
    let transfer = Transfer {
        queues,
        broker,
        log,
        old,
        target,
    };
    transfer.run(&survey, dry_run, shutdown).await
}
