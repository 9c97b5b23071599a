//! Consoles that are killed at any place of a job, on a broker whose queues cannot be read.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    runtime::Builder,
    sync::{oneshot, watch},
};
use wahook_delivery_log::LogFuture;
use wahook_domain::UnixMillis;
use wahook_operator_state::{
    ClaimedJob, Hold, Job, JobReport, JobStore, JobWork, NewJob, Progress,
};
use wahook_queue::{Broker, LinkState, LocalQueue, Topology, local::Command};
use wahook_runtime::Shutdown;

use super::*;
use crate::fake::{self, FakeLog};

const EVENTS: usize = 6;
/// Events per second, and of a window.
const RATE: u32 = 3;
const ORDER: &str = r#"{"to":null,"rate":3}"#;
/// Publishes, and reports, at which a console is killed; more than it makes.
const PLACES: usize = 9;

/// Place of a kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// The broker has the n-th message and has not confirmed it.
    Published(usize),
    /// The n-th report is not stored.
    Reporting(usize),
    /// The n-th report is stored, and the console has no answer.
    Reported(usize),
}

/// Store and broker, which outlive the consoles.
struct World {
    state: Mutex<State>,
    is_killed: watch::Sender<bool>,
    link: watch::Sender<LinkState>,
}

#[derive(Default)]
struct State {
    queued: Vec<EventId>,
    progress: Progress,
    kill: Option<Kill>,
    /// Of the running console.
    published: usize,
    reported: usize,
    /// Channels of answers that a killed console never gets.
    unanswered: Vec<oneshot::Sender<Result<(), PublishError>>>,
}

impl LocalQueue for World {
    fn submit(&self, command: Command) {
        let Command::Publish(message, confirm) = command else {
            return;
        };
        let mut state = self.state();
        if *self.is_killed.borrow() {
            return state.unanswered.push(confirm);
        }
        state.queued.extend(message.metadata().id.clone());
        state.published += 1;
        if state.kill == Some(Kill::Published(state.published)) {
            self.is_killed.send_replace(true);
            return state.unanswered.push(confirm);
        }
        confirm.send(Ok(())).unwrap();
    }

    fn link(&self) -> watch::Receiver<LinkState> {
        self.link.subscribe()
    }
}

impl JobWork for World {
    fn claim<'a>(&'a self, _: &'a str) -> LogFuture<'a, Option<ClaimedJob>> {
        Box::pin(async { Ok(None) })
    }

    fn items<'a>(&'a self, _: &'a str, position: u64) -> LogFuture<'a, Vec<String>> {
        let items = (0..EVENTS).map(|number| format!("e{number}/default"));
        let items = items.skip(position.try_into().unwrap()).collect();
        Box::pin(async move { Ok(items) })
    }

    fn report<'a>(&'a self, report: &'a JobReport) -> LogFuture<'a, Hold> {
        let killed = self.report_or_die(report);
        Box::pin(async move {
            if killed {
                pending::<()>().await;
            }
            Ok(Hold::Held)
        })
    }
}

impl JobStore for World {
    fn add<'a>(&'a self, _: &'a NewJob) -> LogFuture<'a, bool> {
        Box::pin(async { Ok(true) })
    }

    fn jobs(&self) -> LogFuture<'_, Vec<Job>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn job<'a>(&'a self, _: &'a str) -> LogFuture<'a, Option<Job>> {
        Box::pin(async { Ok(None) })
    }

    fn cancel<'a>(&'a self, _: &'a str) -> LogFuture<'a, Option<Job>> {
        Box::pin(async { Ok(None) })
    }
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            is_killed: watch::Sender::new(false),
            link: watch::Sender::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Stores a report. Returns true if the console is killed before it has the answer.
    fn report_or_die(&self, report: &JobReport) -> bool {
        let mut state = self.state();
        if *self.is_killed.borrow() {
            return true;
        }
        state.reported += 1;
        let (kill, number) = (state.kill, state.reported);
        if kill != Some(Kill::Reporting(number)) {
            state.progress = report.progress.clone();
        }
        let places = [Kill::Reporting(number), Kill::Reported(number)];
        let is_killed = kill.is_some_and(|kill| places.contains(&kill));
        self.is_killed.send_replace(is_killed);
        is_killed
    }

    /// Runs a console until it has done the job, or is killed. Returns true if it was killed.
    fn run(self: &Arc<Self>, is_resumed: bool, kill: Option<Kill>) -> bool {
        let progress = {
            let mut state = self.state();
            (state.kill, state.published, state.reported) = (kill, 0, 0);
            state.progress.clone()
        };
        self.is_killed.send_replace(false);
        // Its end ends all tasks, as a kill does.
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let claimed = self.claimed(progress, is_resumed);
            let resender = self.resender();
            let mut killed = self.is_killed.subscribe();
            tokio::select! {
                biased;
                killed = killed.wait_for(|killed| *killed) => *killed.unwrap(),
                () = claimed.run(resender.run(&claimed)) => false,
            }
        })
    }

    fn claimed(self: &Arc<Self>, progress: Progress, is_resumed: bool) -> Claimed {
        let job = Job {
            id: "job".to_owned(),
            kind: "redelivery".to_owned(),
            who: "ann".to_owned(),
            count: EVENTS as u64,
            // After all attempts in the log.
            created_at: UnixMillis::new(2_000),
            progress,
            is_cancelled: false,
            end: None,
        };
        let order = ORDER.to_owned();
        let claimed = ClaimedJob {
            job,
            order,
            is_resumed,
        };
        let (shutdown, _) = Shutdown::manual();
        let store: Arc<Self> = Arc::clone(self);
        Claimed::new(claimed, "claim".to_owned(), store, shutdown)
    }

    fn resender(self: &Arc<Self>) -> Resender {
        let log = FakeLog::default();
        for number in 0..EVENTS {
            log.add(fake::logged(&format!("e{number}"), 1_000));
        }
        let queue: Arc<dyn LocalQueue> = Arc::<Self>::clone(self);
        let limit = Duration::from_secs(3_600);
        let broker = Broker::Local(queue);
        let (publisher, _) = Publisher::start(broker, "test", Topology::default(), limit);
        Resender {
            log: Log::new(Arc::new(log)),
            stored: None,
            publisher,
        }
    }

    /// Returns the number of copies of each event.
    fn copies(&self) -> Vec<usize> {
        let mut copies = BTreeMap::<_, usize>::new();
        for id in &self.state().queued {
            *copies.entry(id.clone()).or_default() += 1;
        }
        copies.into_values().collect()
    }
}

fn places() -> impl Iterator<Item = Kill> {
    (1..=PLACES).flat_map(|n| [Kill::Published(n), Kill::Reporting(n), Kill::Reported(n)])
}

/// Kills consoles at these places, one after another, and lets the last one end the job.
/// Returns the number of copies of each event, and of kills.
fn killed_at(kills: &[Kill]) -> (Vec<usize>, usize) {
    let world = World::new();
    let mut number = 0;
    for kill in kills {
        if !world.run(number > 0, Some(*kill)) {
            break;
        }
        number += 1;
    }
    world.run(true, None);
    let copies = world.copies();
    let progress = world.state().progress.clone();
    assert_eq!((progress.done, progress.failed), (EVENTS as u64, 0));
    assert_eq!(copies.len(), EVENTS, "{kills:?}");
    (copies, number)
}

#[test]
fn one_kill_queues_at_most_a_window_twice_and_loses_nothing() {
    let mut most = 0;
    for kill in places() {
        let (copies, _) = killed_at(&[kill]);
        assert!(copies.iter().all(|copies| *copies <= 2), "{kill:?}");
        let twice = copies.iter().filter(|copies| **copies == 2).count();
        assert!(twice <= RATE as usize, "{kill:?}: {copies:?}");
        most = most.max(twice);
    }
    // Some kill leaves a whole window in doubt.
    assert_eq!(most, RATE as usize);
}

#[test]
fn each_further_kill_queues_at_most_one_event_more_than_twice() {
    for first in places() {
        for second in places() {
            let (copies, kills) = killed_at(&[first, second, second, second]);
            let beyond = copies.iter().map(|copies| copies.saturating_sub(2));
            let beyond: usize = beyond.sum();
            assert!(
                beyond <= kills.saturating_sub(1),
                "{first:?}, {second:?}: {copies:?} after {kills} kills"
            );
        }
    }
}
