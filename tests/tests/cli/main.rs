//! Commands of `wahook` against a real producer and consumer. Each test has its own producer,
//! consumer, virtual host and database; RabbitMQ and MongoDB are shared.

mod import;
mod import_killed;
mod import_refusals;
mod send;
mod shell;
mod watch;

use std::process::ExitCode;

use wahook_tests::pair::Pair;
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::world::{self, Tests};

fn main() -> ExitCode {
    let mut tests = Tests::default();
    // The longest test first.
    import_killed::add(&mut tests);
    import::add(&mut tests);
    import_refusals::add(&mut tests);
    send::add(&mut tests);
    watch::add(&mut tests);
    shell::add(&mut tests);
    tests.run(4)
}

/// Starts a command with the addresses of the producer and the log.
async fn start(pair: &Pair, arguments: &[&str]) -> Command {
    let url = pair.producer.base_url();
    let settings = [
        ("WAHOOK_URL", url.as_str()),
        ("MONGODB_URI", &pair.place().mongodb_uri),
        ("MONGODB_DATABASE", &pair.place().database),
    ];
    Command::start(ProgramName::Standalone, arguments, &settings).await
}

async fn run(pair: &Pair, arguments: &[&str]) -> Ran {
    start(pair, arguments).await.finish().await
}

#[track_caller]
fn assert_status(ran: &Ran, status: i32) {
    assert_eq!(ran.status.code(), Some(status), "{ran:?}");
}
