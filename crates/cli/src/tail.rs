//! `wahook tail`: prints deliveries as they end.

mod line;

use clap::{Args, ValueEnum};
use std::{
    env,
    io::{IsTerminal, Write, stderr, stdout},
    time::Duration,
};
use wahook_delivery_log::{EndedFilter, FollowError, LogReader};
use wahook_domain::{EndpointName, EventName};
use wahook_runtime::{Moment, Shutdown, clock};

use line::{Paint, as_json, as_text};

/// Delay between attempts to reach an unavailable log.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub struct TailArguments {
    /// Show only these events (may be repeated)
    #[arg(long, value_name = "NAME")]
    event: Vec<EventName>,
    /// Show only deliveries with this status
    #[arg(long)]
    status: Option<EndStatus>,
    /// Show only these endpoints (may be repeated)
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<EndpointName>,
    /// Show deliveries that ended since: 90s, 10m or 2h ago, or a time such as 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Stop after this number of deliveries
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
}

/// Final status of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EndStatus {
    /// Delivered
    Success,
    /// Given up and dead-lettered
    Failed,
}

/// Prints deliveries until the limit or a stop.
pub(crate) async fn run(
    arguments: TailArguments,
    log: &dyn LogReader,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let now = clock::now();
    let since = arguments.since.map(|since| since.before(now));
    let mut following = log.follow(since, &arguments.filter()).await?;
    let paint = Paint::new(has_colours());
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut is_unavailable = false;
    while left > 0 {
        let next = tokio::select! {
            next = following.next() => next,
            () = stop.soft() => return Ok(true),
        };
        match next {
            Ok(ended) => {
                let line = if arguments.json {
                    as_json(&ended)?
                } else {
                    as_text(&ended, paint)
                };
                writeln!(stdout(), "{line}")?;
                left -= 1;
                is_unavailable = false;
            }
            Err(FollowError::Log(error)) => {
                if !is_unavailable {
                    writeln!(
                        stderr(),
                        "wahook tail: {error}; continues once the log is available"
                    )?;
                }
                is_unavailable = true;
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = stop.soft() => return Ok(true),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

impl TailArguments {
    fn filter(&self) -> EndedFilter {
        EndedFilter {
            events: self.event.iter().map(ToString::to_string).collect(),
            endpoints: self.endpoint.iter().map(ToString::to_string).collect(),
            delivered: self.status.map(|status| status == EndStatus::Success),
        }
    }
}

/// Returns true on a terminal, unless colours are disabled (<https://no-color.org>).
fn has_colours() -> bool {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdout().is_terminal() && !no_color && !is_dumb
}
