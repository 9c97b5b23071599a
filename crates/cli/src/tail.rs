//! `wahook tail`: deliveries as they end.

mod line;

use clap::{Args, ValueEnum};
use std::{
    env,
    io::{IsTerminal, Write, stderr, stdout},
    time::Duration,
};
use wahook_delivery_log::{EndedFilter, FollowError};
use wahook_domain::{EndpointName, EventName};
use wahook_runtime::{Moment, Shutdown, clock};

use crate::deliveries::{Deliveries, Follow};
use line::{Paint, for_people, for_programs};

/// Between two tries to reach a log that was lost.
const PAUSE: Duration = Duration::from_secs(2);

/// Which deliveries.
#[derive(Debug, Args)]
pub struct TailArguments {
    /// Of these events (may be repeated)
    #[arg(long, value_name = "NAME")]
    event: Vec<EventName>,
    /// Those that ended so
    #[arg(long)]
    status: Option<EndStatus>,
    /// To these endpoints (may be repeated)
    #[arg(long, value_name = "NAME")]
    endpoint: Vec<EndpointName>,
    /// Begin with what ended since: 90s, 10m or 2h ago, or a moment such as 2026-01-31T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// End after so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EndStatus {
    /// Delivered
    Success,
    /// Given up, and now a dead letter
    Failed,
}

/// Prints them until it is stopped.
pub(crate) async fn run(
    arguments: TailArguments,
    log: &impl Deliveries,
    stop: Shutdown,
) -> anyhow::Result<bool> {
    let now = clock::now();
    let since = arguments.since.map(|since| since.before(now));
    let mut following = log.follow(since, &arguments.filter()).await?;
    let paint = Paint::when(is_colourful());
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut is_away = false;
    while left > 0 {
        let next = tokio::select! {
            next = following.next() => next,
            () = stop.soft() => return Ok(true),
        };
        match next {
            Ok(ended) => {
                let line = if arguments.json {
                    for_programs(&ended)?
                } else {
                    for_people(&ended, paint)
                };
                writeln!(stdout(), "{line}")?;
                left -= 1;
                is_away = false;
            }
            Err(FollowError::Log(error)) => {
                if !is_away {
                    writeln!(
                        stderr(),
                        "wahook tail: {error}; it goes on when the log is back"
                    )?;
                }
                is_away = true;
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

/// On a terminal that was not asked to do without (<https://no-color.org>).
fn is_colourful() -> bool {
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
    stdout().is_terminal() && !no_color && !is_dumb
}
