//! `dead`: commands on dead letters.

pub mod earlier;
mod filter;
mod redrive;
mod redrive_options;
mod report;
mod show;
pub mod sweep;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::num::NonZeroU32;
use wahook_domain::EndpointName;
use wahook_queue::{Broker, BrokerUri, DeadLetters};
use wahook_runtime::{Age, Settings, Shutdown, clock, settings::shared::AMQP_URL};

use filter::Filter;
use redrive_options::RedriveOptions;
pub use report::Report;

/// Commands on dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List dead letters, oldest first
    List {
        #[command(flatten)]
        selection: Selection,
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// Show all dead letters of one event, with its body
    Show {
        /// Event id
        id: String,
    },
    /// Send dead letters to their endpoints again, from attempt 1 with the same id
    Redrive {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        safeguards: Safeguards,
        /// Send all of them to this endpoint, such as the new name of a removed one [default: the
        /// endpoint of each]
        #[arg(long, value_name = "ENDPOINT")]
        to: Option<EndpointName>,
        /// Dead letters per second [default: unlimited]
        #[arg(long, value_name = "PER_SECOND")]
        rate: Option<NonZeroU32>,
    },
    /// Remove dead letters permanently
    Discard {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        safeguards: Safeguards,
    },
}

/// Filter for dead letters; every given option must match.
#[derive(Debug, Clone, Args)]
pub struct Selection {
    /// Only events of this name (may be repeated)
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// Only this endpoint (may be repeated)
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<EndpointName>,
    /// Only this event id (may be repeated)
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Dead for longer than this, such as 90s, 30m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    older_than: Option<Age>,
    /// Dead for less than this
    #[arg(long, value_name = "TIME")]
    newer_than: Option<Age>,
    /// At most this many
    #[arg(long, value_name = "COUNT")]
    limit: Option<NonZeroU32>,
}

/// Safeguards against unintended effects.
#[derive(Debug, Clone, Copy, Args)]
pub struct Safeguards {
    /// Select all dead letters; required without a filter
    #[arg(long)]
    all: bool,
    /// Only report what would be done
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "no dead letters selected: use --event, --endpoint, --id, --older-than, --newer-than, --limit or --all"
)]
struct NothingSelected;

/// Reads the broker's address.
pub fn read_settings(settings: &mut Settings) -> Option<Broker> {
    let uri: Option<BrokerUri> = settings.value(&AMQP_URL);
    uri.map(Broker::from)
}

/// Runs the command.
///
/// # Errors
/// Fails if the broker can't be reached or a selected dead letter was not redriven or
/// discarded.
pub async fn run(command: DeadCommand, broker: Broker, shutdown: Shutdown) -> anyhow::Result<()> {
    if let DeadCommand::Redrive {
        selection,
        safeguards,
        ..
    }
    | DeadCommand::Discard {
        selection,
        safeguards,
    } = &command
        && !safeguards.all
        && selection.is_everything()
    {
        return Err(NothingSelected.into());
    }
    let mut letters = DeadLetters::open(&broker, "wahook-consumer dead").await?;
    let done = match command {
        DeadCommand::List { selection, json } => {
            let (filter, limit) = selection.into_parts();
            show::list(&mut letters, &filter, limit, json).await
        }
        DeadCommand::Show { id } => show::show(&mut letters, &id).await,
        DeadCommand::Redrive {
            selection,
            safeguards,
            to,
            rate,
        } => {
            let options = RedriveOptions {
                dry_run: safeguards.dry_run,
                to,
                rate,
            };
            redrive::redrive(&mut letters, selection, options, broker, &shutdown).await
        }
        DeadCommand::Discard {
            selection,
            safeguards,
        } => redrive::discard(&mut letters, selection, safeguards.dry_run, &shutdown).await,
    };
    letters.close().await;
    done
}

impl Selection {
    fn is_everything(&self) -> bool {
        let no_list = self.event.is_empty() && self.endpoint.is_empty() && self.id.is_empty();
        let no_age = self.older_than.is_none() && self.newer_than.is_none();
        no_list && no_age && self.limit.is_none()
    }

    fn into_parts(self) -> (Filter, Option<u32>) {
        let filter = Filter {
            events: self.event,
            endpoints: self.endpoint,
            ids: self.id,
            older_than: self.older_than,
            newer_than: self.newer_than,
            now: clock::now(),
        };
        (filter, self.limit.map(NonZeroU32::get))
    }
}

/// Progress bar, shown on a terminal only.
pub(crate) fn progress(length: u32) -> ProgressBar {
    const TEMPLATE: &str = "{bar:30} {pos}/{len} dead letters, {per_sec}, {eta} left";
    let bar = ProgressBar::new(length.into());
    // The template is constant and valid; an invalid one would leave the plain bar.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}
