//! Length and numbers of a run.

use std::env;
use std::time::Duration;

/// Answers of the slow endpoint take nearly as long as its timeout.
const SLOW_ANSWER: Duration = Duration::from_secs(250);

/// Numbers that a run uses, and those that it must reach.
pub(super) struct Scale {
    /// Time of the attacks. They go on until the numbers below are reached.
    pub(super) length: Duration,
    /// Events of 1 MB, and of 15 MiB, that wait for a slow endpoint at the start.
    pub(super) backlog: [usize; 2],
    /// Events that have to wait for it all the time.
    pub(super) least_waiting: usize,
    /// Time that the slow endpoint takes for an answer.
    pub(super) slow_answer: Duration,
    /// Clients that send nothing.
    pub(super) idle: usize,
    /// Requests that each hostile endpoint has to receive.
    pub(super) least_requests: usize,
    /// Answers that each health check has to get.
    pub(super) least_answers: usize,
}

impl Scale {
    /// Reads `WAHOOK_SOAK_SECONDS`; without it the run is short enough for every test run.
    pub(super) fn of_run() -> Self {
        match env::var("WAHOOK_SOAK_SECONDS") {
            Err(_) => Self {
                length: Duration::from_secs(5),
                // The consumer holds about 22 of them, each until its answer.
                backlog: [48, 4],
                least_waiting: 1,
                slow_answer: SLOW_ANSWER,
                idle: 512,
                least_requests: 1,
                least_answers: 1,
            },
            Ok(seconds) => Self {
                length: Duration::from_secs(seconds.parse().unwrap()),
                backlog: [560, 24],
                least_waiting: 400,
                slow_answer: SLOW_ANSWER,
                idle: 2_048,
                // Both cores are busy: an event is accepted each 9 s on a machine with other work.
                least_requests: 50,
                least_answers: 50,
            },
        }
    }
}
