//! `endpoints`: commands on endpoints: orders to what delivers, and commands on those that
//! were removed from the settings while events were queued for them.

mod at_broker;
mod give_up;
pub mod held;
mod list;
mod orders;
mod sources;
mod survey;
mod target;
mod transfer;

use anyhow::bail;
use clap::Subcommand;
use wahook_domain::{EndpointName, EventId};
use wahook_operator_state::{PauseReason, Request};
use wahook_queue::EndpointQueues;
use wahook_runtime::Shutdown;

use sources::CONNECTION;
pub use sources::{OpenLog, OpenOperatorState, Sources};
use survey::Survey;
use target::Target;
use transfer::Transfer;

/// Commands on endpoints.
#[derive(Debug, Subcommand)]
pub enum EndpointsCommand {
    /// List endpoints: whether they are configured or paused, and what is queued for them
    List {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Pause an endpoint: its events wait until it is resumed
    ///
    /// Lasts over restarts. After at most 2 s no attempt starts; attempts in flight end.
    Pause {
        /// Name of a configured endpoint
        endpoint: EndpointName,
        /// Reason, for other operators
        #[arg(long, value_name = "TEXT")]
        reason: Option<PauseReason>,
    },
    /// End the pause of an endpoint: the events that wait are delivered
    Resume {
        /// Name of the endpoint
        endpoint: EndpointName,
    },
    /// Probe an endpoint at once that its circuit breaker has paused
    Probe {
        /// Name of a configured endpoint
        endpoint: EndpointName,
    },
    /// Make a dead letter of an event whose failed delivery blocks the later events of its key
    ///
    /// For an endpoint with an order, such as one that holds events whose retries are exhausted
    /// (on_exhausted). The next event of the key starts then. An attempt in flight is awaited.
    GiveUp {
        /// Name of a configured endpoint
        endpoint: EndpointName,
        /// Id of the event
        #[arg(long, value_name = "ID")]
        event: EventId,
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
    match command {
        EndpointsCommand::List { json } => list::list(sources, json).await,
        EndpointsCommand::Pause { endpoint, reason } => {
            orders::give(endpoint, Request::Pause { reason }, sources).await
        }
        EndpointsCommand::Resume { endpoint } => {
            orders::give(endpoint, Request::Resume, sources).await
        }
        EndpointsCommand::Probe { endpoint } => {
            orders::give(endpoint, Request::Probe, sources).await
        }
        EndpointsCommand::GiveUp { endpoint, event } => {
            give_up::give_up(endpoint, event, sources, &shutdown).await
        }
        EndpointsCommand::Move { old, new, dry_run } => {
            transfer(old, Target::Endpoint(new), dry_run, sources, &shutdown).await
        }
        EndpointsCommand::Drop { old, yes, dry_run } => {
            if !yes && !dry_run {
                bail!(
                    "all events that are queued for {old} would become dead letters: add --yes to \
                     confirm, or --dry-run to count them"
                );
            }
            transfer(old, Target::DeadLetters, dry_run, sources, &shutdown).await
        }
    }
}

async fn transfer(
    old: EndpointName,
    target: Target,
    dry_run: bool,
    sources: Sources,
    shutdown: &Shutdown,
) -> anyhow::Result<()> {
    let queues = EndpointQueues::open(&sources.broker, CONNECTION).await?;
    let named = [&old].into_iter().chain(target.endpoint()).cloned();
    let survey = Survey::read(&queues, sources.configured, named.collect()).await;
    let done = match survey {
        Ok(survey) => {
            let transfer = Transfer {
                queues: &queues,
                broker: sources.broker,
                log: sources.log,
                old,
                target,
            };
            transfer.run(&survey, dry_run, shutdown).await
        }
        Err(error) => Err(error.into()),
    };
    queues.close().await;
    done
}
