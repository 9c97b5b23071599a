//! `wahook-consumer dead`: what an operator does with the dead letters.

mod filter;
mod redrive;
mod show;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::num::NonZeroU32;
use wahook_domain::EndpointName;
use wahook_queue::{Broker, BrokerUri, DeadLetters};
use wahook_runtime::{Age, Settings, Shutdown, clock};

use filter::Filter;

/// What to do with the dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List them, the oldest first
    List {
        #[command(flatten)]
        which: Which,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Show all there is of one event's letters, with its body
    Show {
        /// The event's id
        id: String,
    },
    /// Send them to their endpoints again: attempt 1 anew, with the same id
    Redrive {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        caution: Caution,
        /// Letters a second, so that the endpoint can bear it [default: as fast as it goes]
        #[arg(long, value_name = "PER_SECOND")]
        rate: Option<NonZeroU32>,
    },
    /// Remove them for good
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        caution: Caution,
    },
}

/// Which letters are meant: those that every option given here takes.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// Of these events (may be repeated)
    #[arg(long, value_name = "NAME")]
    event: Vec<String>,
    /// Of these endpoints (may be repeated)
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<EndpointName>,
    /// With these ids (may be repeated)
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Dead for longer than this, such as 90s, 30m, 2h or 7d
    #[arg(long, value_name = "TIME")]
    older_than: Option<Age>,
    /// Dead for less long than this
    #[arg(long, value_name = "TIME")]
    newer_than: Option<Age>,
    /// This many at the most
    #[arg(long, value_name = "COUNT")]
    limit: Option<NonZeroU32>,
}

/// What keeps a short command from a large effect.
#[derive(Debug, Clone, Copy, Args)]
pub struct Caution {
    /// Needed where no other option chooses
    #[arg(long)]
    all: bool,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Nothing says which letters are meant.
#[derive(Debug, thiserror::Error)]
#[error(
    "which dead letters? Choose by --event, --endpoint, --id, --older-than, --newer-than or --limit, or say --all"
)]
struct NothingChosen;

/// Reads what the command needs to know of the surroundings.
pub fn read_settings(settings: &mut Settings) -> Option<Broker> {
    let uri: Option<BrokerUri> =
        settings.required_parsed("AMQP_URL", "the broker's address", BrokerUri::EXAMPLE);
    uri.map(Broker::from)
}

/// Does it.
///
/// # Errors
/// When the broker can't be reached, or when a chosen letter could not be redriven.
pub async fn run(command: DeadCommand, broker: Broker, shutdown: Shutdown) -> anyhow::Result<()> {
    if let DeadCommand::Redrive { which, caution, .. } | DeadCommand::Discard { which, caution } =
        &command
        && !caution.all
        && which.is_everything()
    {
        return Err(NothingChosen.into());
    }
    let mut letters = DeadLetters::open(&broker, "wahook-consumer dead").await?;
    let done = match command {
        DeadCommand::List { which, json } => {
            let (filter, limit) = which.into_parts();
            show::list(&mut letters, &filter, limit, json).await
        }
        DeadCommand::Show { id } => show::show(&mut letters, &id).await,
        DeadCommand::Redrive {
            which,
            caution,
            rate,
        } => {
            let dry_run = caution.dry_run;
            redrive::redrive(&mut letters, which, dry_run, broker, rate, &shutdown).await
        }
        DeadCommand::Discard { which, caution } => {
            redrive::discard(&mut letters, which, caution.dry_run, &shutdown).await
        }
    };
    letters.close().await;
    done
}

impl Which {
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

/// Shown on a terminal only.
fn progress(length: u32) -> ProgressBar {
    const TEMPLATE: &str = "{bar:30} {pos}/{len} letters, {per_sec}, {eta} left";
    let bar = ProgressBar::new(length.into());
    // The template is ours and right; a wrong one would leave the plain bar.
    if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
        bar.set_style(style);
    }
    bar
}
