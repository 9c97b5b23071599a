//! Simulated endpoint, queue and clock around the rules of deliveries.

use std::{collections::VecDeque, time::Duration};

use wahook_domain::{
    Admission, AttemptNumber, CircuitRule, Decision, HealthSignal, Outcome, RetryRule, Start,
};

const TICK: Duration = Duration::from_millis(2);
const LATENCY: Duration = Duration::from_millis(20);
const CONCURRENCY: usize = 128;

#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) name: &'static str,
    pub(crate) created: Duration,
    attempt: AttemptNumber,
    number: u16,
}

/// Request with its outcome, which the endpoint decided at its start.
struct Request {
    event: Event,
    started: Duration,
    is_probe: bool,
    outcome: Outcome,
}

/// Delivered event, its attempt, and the time of its delivery.
pub(crate) struct Delivered {
    pub(crate) event: Event,
    pub(crate) attempt: u32,
    pub(crate) at: Duration,
}

pub(crate) struct World<E> {
    endpoint: E,
    admission: Admission,
    rule: RetryRule,
    pub(crate) now: Duration,
    queue: VecDeque<Event>,
    waiting: Vec<(Duration, Event)>,
    in_flight: VecDeque<Request>,
    /// Event that waits for its reserved start.
    reserved: Option<(Duration, Event)>,
    created: u16,
    pub(crate) posts: Vec<Duration>,
    pub(crate) delivered: Vec<Delivered>,
    pub(crate) dead: Vec<Event>,
    pub(crate) pauses: usize,
}

impl<E: FnMut(Duration, &Event) -> u16> World<E> {
    /// `endpoint` returns the status for a request. A 429 has `Retry-After: 1`, a 503 has
    /// `Retry-After: 600`, and a 529 is a 429 without the header.
    pub(crate) fn new(endpoint: E) -> Self {
        Self {
            endpoint,
            admission: Admission::new(Some(CircuitRule::default()), None),
            rule: RetryRule::new(3, 5_000).unwrap(),
            now: Duration::ZERO,
            queue: VecDeque::new(),
            waiting: Vec::new(),
            in_flight: VecDeque::new(),
            reserved: None,
            created: 0,
            posts: Vec::new(),
            delivered: Vec::new(),
            dead: Vec::new(),
            pauses: 0,
        }
    }

    pub(crate) fn accept(&mut self, name: &'static str, count: usize) {
        for _ in 0..count {
            self.created += 1;
            self.queue.push_back(Event {
                name,
                created: self.now,
                attempt: AttemptNumber::FIRST,
                number: self.created.wrapping_mul(40_503),
            });
        }
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.tick();
        }
    }

    /// Runs until no event is left. Returns the time that it took.
    pub(crate) fn drain(&mut self, most: Duration) -> Duration {
        let began = self.now;
        while self.left() > 0 {
            self.tick();
            assert!(self.now - began < most, "{} events left", self.left());
        }
        self.now - began
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.admission.is_paused()
    }

    pub(crate) fn left(&self) -> usize {
        let reserved = usize::from(self.reserved.is_some());
        self.queue.len() + self.waiting.len() + self.in_flight.len() + reserved
    }

    /// Returns the number of posts in `[from, from + span)`.
    pub(crate) fn posts_in(&self, from: Duration, span: Duration) -> usize {
        let is_within = |at: &&Duration| **at >= from && **at < from + span;
        self.posts.iter().filter(is_within).count()
    }

    fn tick(&mut self) {
        self.now += TICK;
        let (due, waiting) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(due, _)| *due <= self.now);
        self.waiting = waiting;
        let due: Vec<_> = due;
        self.queue.extend(due.into_iter().map(|(_, event)| event));
        while let Some(request) = self
            .in_flight
            .pop_front_if(|request| request.started + LATENCY <= self.now)
        {
            self.conclude(request);
        }
        if self.admission.is_paused() {
            self.queue
                .extend(self.reserved.take().map(|(_, event)| event));
            self.probe();
        } else {
            self.start();
        }
    }

    fn start(&mut self) {
        while self.in_flight.len() < CONCURRENCY {
            let event = match self.reserved.take() {
                Some((at, event)) if at > self.now => {
                    self.reserved = Some((at, event));
                    return;
                }
                Some((_, event)) if self.admission.held_until() <= self.now => {
                    self.post(event, false);
                    continue;
                }
                Some((_, event)) => event,
                None => match self.queue.pop_front() {
                    Some(event) => event,
                    None => return,
                },
            };
            match self.admission.next_start(self.now) {
                Start::Now => self.post(event, false),
                Start::At(at) => self.reserved = Some((at, event)),
                Start::Paused { .. } => unreachable!("not paused"),
            }
        }
    }

    fn probe(&mut self) {
        let is_due = self.admission.probe_at().is_some_and(|at| at <= self.now);
        if is_due
            && !self.in_flight.iter().any(|request| request.is_probe)
            && let Some(event) = self.queue.pop_front()
        {
            self.post(event, true);
        }
    }

    fn post(&mut self, event: Event, is_probe: bool) {
        self.posts.push(self.now);
        let status = (self.endpoint)(self.now, &event);
        let answered = |status, seconds: Option<u64>| Outcome::Answered {
            status,
            retry_after: seconds.map(Duration::from_secs),
        };
        let outcome = match status {
            200 => Outcome::Delivered { status },
            429 => answered(429, Some(1)),
            529 => answered(429, None),
            503 => answered(503, Some(600)),
            status => answered(status, None),
        };
        self.in_flight.push_back(Request {
            event,
            started: self.now,
            is_probe,
            outcome,
        });
    }

    fn conclude(&mut self, request: Request) {
        let Request {
            mut event,
            started,
            is_probe,
            outcome,
        } = request;
        let signal = HealthSignal::of(&outcome);
        let was_paused = self.is_paused();
        let recorded = self.admission.record(self.now, started, signal);
        if is_probe && signal != HealthSignal::Success {
            self.admission.probe_failed(self.now, signal);
        }
        self.pauses += usize::from(!was_paused && self.is_paused());
        match self.rule.decide(event.attempt, &outcome) {
            Decision::Delivered => self.delivered.push(Delivered {
                attempt: event.attempt.get(),
                event,
                at: self.now,
            }),
            _ if !recorded.counts => self.queue.push_back(event),
            Decision::Exhausted => self.dead.push(event),
            Decision::RetryAfter(step) => {
                event.attempt = event.attempt.next();
                let spread = self.rule.spread(event.attempt, event.number);
                self.waiting
                    .push((self.now + step.duration() + spread, event));
            }
        }
    }
}
