//! Takeover and balance of lanes: consumers are killed and stopped one after another, and
//! replaced.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::http_client::http_client;
use wahook_tests::pair::{Pair, Servers};
use wahook_tests::program::Program;
use wahook_tests::random::Random;

use super::arrivals::Arrivals;
use super::endpoint::{self, CONSUMERS};
use super::figures::{Bound, Figure};
use super::kind::{Kind, events, post_each};
use super::load::{Event, Load, Posted, url_of};
use super::outcome::{Bounds, Outcome};
use super::ownership::{balanced, idle, lane_of, owned, take_consumer};
use crate::until::until;

/// Attempts in flight of a consumer.
const CONCURRENCY: usize = 128;
/// Consumers that are stopped in order.
const STOPS: usize = 4;
/// Pause of a steady chat after each event.
const PAUSE: Duration = Duration::from_millis(250);
/// Time until the answer to a slow chat.
const ANSWERED_AFTER: Duration = Duration::from_secs(2);
/// Time before the answer in which a kill may come too late to interrupt the attempt.
const TOO_LATE: Duration = Duration::from_millis(500);

struct Takeovers {
    pair: Pair,
    http: reqwest::Client,
    arrivals: Arrivals,
    random: Random,
    posted: Posted,
    times: Times,
}

#[derive(Default)]
struct Times {
    not_in_flight: Vec<Duration>,
    other_lanes: Vec<Duration>,
    in_flight: Vec<Duration>,
    after_a_kill: Vec<Duration>,
    after_a_stop: Vec<Duration>,
    after_a_start: Vec<Duration>,
}

/// Kills so many owners of lanes, then stops some in order.
pub(super) async fn measure(
    servers: &Servers,
    kills: usize,
    seed: u64,
) -> anyhow::Result<(Vec<Figure>, Outcome)> {
    let arrivals = Arrivals::default();
    let answered_after = |(chat, _): Event| {
        if Kind::Slow.has(chat) {
            ANSWERED_AFTER
        } else {
            Duration::ZERO
        }
    };
    let receiver = arrivals.receiver(|_| false, answered_after).await;
    let concurrency = CONCURRENCY.to_string();
    let settings = endpoint::settings(&concurrency);
    let mut run = Takeovers {
        pair: servers.pair(receiver, &settings).await,
        http: http_client()?,
        arrivals,
        random: Random::seeded(seed),
        posted: Posted::new(),
        times: Times::default(),
    };
    let steady = Load::start(&url_of(&run.pair), Kind::Steady.chats(), PAUSE)?;
    println!("{CONSUMERS} consumers, {kills} kills");
    balanced(&run.pair, 1).await?;
    run.start(CONSUMERS - 1).await?;
    for kill in 0..kills {
        run.kill(kill).await?;
        run.start(1).await?;
    }
    println!("{STOPS} stops");
    for _ in 0..STOPS {
        run.stop().await?;
        run.start(1).await?;
    }
    let posted = steady.stop().await;
    run.posted.extend(posted);
    let bounds = Bounds {
        // Those that were in flight.
        repeated: kills * CONCURRENCY,
        late: Some(0),
    };
    run.arrivals.until_taken(run.posted.len()).await?;
    idle(&run.pair).await?;
    let outcome = Outcome::of(
        format!("{kills} owners of lanes killed, {STOPS} stopped"),
        &run.posted,
        &run.pair.receiver.posts(),
        |_| false,
        bounds,
    );
    Ok((run.times.figures(), outcome))
}

impl Takeovers {
    /// Kills a consumer while each slow chat has an event in flight, and measures.
    async fn kill(&mut self, kill: usize) -> anyhow::Result<()> {
        let owner = self.take_any();
        let lanes = owned(&owner.metrics().await);
        self.post_each(Kind::Slow, kill).await;
        let slow: Vec<_> = events(Kind::Slow, kill).collect();
        let have_arrived = || async {
            let mut events = slow.iter();
            Ok(events.all(|event| self.arrivals.first(*event).is_some()))
        };
        until("events of the slow chats are in flight", have_arrived).await?;
        let killed = Instant::now();
        let interrupted = |event: &Event| {
            let first = self.arrivals.first(*event);
            let is_in_time = first.is_some_and(|at| at + ANSWERED_AFTER > killed + TOO_LATE);
            lanes.contains(&lane_of(event.0)) && is_in_time
        };
        let in_flight: Vec<_> = slow.iter().copied().filter(interrupted).collect();
        // What the broker sends to a process that is about to end was in flight as well.
        owner.kill9().await;
        self.post_each(Kind::Idle, kill).await;
        let since = balanced(&self.pair, CONSUMERS - 1).await?;
        self.times.after_a_kill.push(since - killed);
        let mut slowest = Duration::ZERO;
        for event in in_flight {
            let time = self.attempted(event, killed).await?;
            slowest = slowest.max(time);
            self.times.in_flight.push(time);
        }
        for event in events(Kind::Idle, kill) {
            let time = self.attempted(event, killed).await?;
            if lanes.contains(&lane_of(event.0)) {
                self.times.not_in_flight.push(time);
            } else {
                self.times.other_lanes.push(time);
            }
        }
        println!(
            "    kill {}: owner of {} lanes, slowest event in flight after {:.3} s, balance after \
             {:.1} s",
            kill + 1,
            lanes.len(),
            slowest.as_secs_f64(),
            (since - killed).as_secs_f64()
        );
        Ok(())
    }

    /// Stops a consumer in order, and measures the balance.
    async fn stop(&mut self) -> anyhow::Result<()> {
        let owner = self.take_any();
        let stopped = Instant::now();
        owner.terminate();
        let since = balanced(&self.pair, CONSUMERS - 1).await?;
        self.times.after_a_stop.push(since - stopped);
        let status = owner.wait_exit(AT_LAST).await;
        ensure!(status.success(), "a stopped consumer: {status}");
        Ok(())
    }

    /// Starts so many consumers at once, and measures the balance.
    async fn start(&mut self, consumers: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        let starts = (0..consumers).map(|_| self.pair.add_consumer());
        join_all(starts).await;
        let since = balanced(&self.pair, CONSUMERS).await?;
        self.times.after_a_start.push(since - started);
        Ok(())
    }

    fn take_any(&mut self) -> Program {
        take_consumer(&self.pair, self.random.within(0, CONSUMERS - 1))
    }

    /// Posts one event of each chat of a kind, all at once.
    async fn post_each(&mut self, kind: Kind, number: usize) {
        let posted = post_each(&self.http, &url_of(&self.pair), kind, number).await;
        self.posted.extend(posted);
    }

    /// Returns the time from the kill to the next attempt of an event.
    async fn attempted(&self, event: Event, killed: Instant) -> anyhow::Result<Duration> {
        let is_attempted = || async { Ok(self.arrivals.after(event, killed).is_some()) };
        until("an attempt after a kill", is_attempted).await?;
        let at = self.arrivals.after(event, killed);
        Ok(at.context("no attempt after a kill")? - killed)
    }
}

impl Times {
    fn figures(self) -> Vec<Figure> {
        let at_most = |seconds| Bound::All(Duration::from_secs_f64(seconds));
        let of = Figure::new;
        vec![
            of(
                "owner killed: from the kill to the attempt of an event that was not in flight",
                self.not_in_flight,
                at_most(0.5),
            ),
            of(
                "the same in the lanes of other owners",
                self.other_lanes,
                Bound::Open,
            ),
            of(
                "owner killed: from the kill to the next attempt of an event that was in flight",
                self.in_flight,
                at_most(2.0),
            ),
            of(
                "one of three consumers killed: balance of 12 lanes",
                self.after_a_kill,
                at_most(10.0),
            ),
            of(
                "one of three consumers stopped: balance of 12 lanes",
                self.after_a_stop,
                at_most(10.0),
            ),
            of(
                "third consumer started, or second and third: balance of 12 lanes",
                self.after_a_start,
                at_most(10.0),
            ),
        ]
    }
}
