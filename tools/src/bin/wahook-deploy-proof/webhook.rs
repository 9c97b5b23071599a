//! Test webhook: answers as each event requests and counts the answers itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use wahook_tests::receiver::{Answer, Post, Receiver};

/// Scripted behaviour of the webhook for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Fine,
    /// 503 at the first attempt.
    Flaky,
    /// 409 at the first attempt.
    Conflicted,
    /// 500 at every attempt.
    Down,
    /// 404 at every attempt.
    Refused,
    /// The connection is cut at every attempt.
    Cut,
}

impl Fate {
    const ALL: [Self; 6] = [
        Self::Fine,
        Self::Flaky,
        Self::Conflicted,
        Self::Down,
        Self::Refused,
        Self::Cut,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Flaky => "flaky",
            Self::Conflicted => "conflicted",
            Self::Down => "down",
            Self::Refused => "refused",
            Self::Cut => "cut",
        }
    }

    /// Status of the answer; 0 for no answer.
    const fn status(self, attempt: u32) -> u16 {
        match (self, attempt) {
            (Self::Flaky, 1) => 503,
            (Self::Conflicted, 1) => 409,
            (Self::Down, _) => 500,
            (Self::Refused, _) => 404,
            (Self::Cut, _) => 0,
            _ => 200,
        }
    }
}

/// Current state of the webhook and its answers so far.
#[derive(Debug, Default)]
pub(crate) struct Webhook {
    hangs_until: Mutex<Option<Instant>>,
    slow: Mutex<Duration>,
    is_down: AtomicBool,
    /// Attempt number and status of each answer, by event id.
    answered: Mutex<BTreeMap<String, Vec<(u32, u16)>>>,
}

/// Counts of the webhook's answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    pub(crate) delivered: f64,
    pub(crate) dead: f64,
    pub(crate) first_attempts: f64,
    pub(crate) first_successes: f64,
    /// Failed attempts with a retry, by attempt number.
    pub(crate) retried: [f64; 3],
    pub(crate) status_5xx: f64,
    pub(crate) status_4xx: f64,
}

impl Webhook {
    pub(crate) async fn receiver(self: &Arc<Self>) -> Receiver {
        let webhook = Arc::clone(self);
        Receiver::answering(move |post| webhook.answer(post)).await
    }

    /// Holds back all answers for this time.
    pub(crate) fn hang(&self, time: Duration) {
        *lock(&self.hangs_until) = Some(Instant::now() + time);
    }

    /// Delays each answer by this time from now on.
    pub(crate) fn slow_down(&self, by: Duration) {
        *lock(&self.slow) = by;
    }

    /// Starts or stops answering 503 to every request.
    pub(crate) fn go_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> Count {
        let mut count = Count::default();
        for answers in lock(&self.answered).values() {
            let delivered = answers.iter().any(|(_, status)| *status == 200);
            count.delivered += f64::from(u8::from(delivered));
            count.dead += f64::from(u8::from(!delivered && answers.len() == 4));
            for (attempt, status) in answers {
                if *attempt == 1 {
                    count.first_attempts += 1.0;
                    count.first_successes += f64::from(u8::from(*status == 200));
                }
                match status {
                    500.. => count.status_5xx += 1.0,
                    400.. => count.status_4xx += 1.0,
                    _ => {}
                }
                let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
                if *status != 200
                    && let Some(retried) = count.retried.get_mut(index)
                {
                    *retried += 1.0;
                }
            }
        }
        count
    }

    fn answer(&self, post: &Post) -> Answer {
        let event: Value = serde_json::from_slice(&post.body).unwrap_or_default();
        let name = event.pointer("/data/fate").and_then(Value::as_str);
        let fate = Fate::ALL
            .into_iter()
            .find(|fate| Some(fate.name()) == name)
            .unwrap_or(Fate::Fine);
        let n = event
            .pointer("/data/n")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let attempt = post.attempt().unwrap_or(1);
        let status = if self.is_down.load(Ordering::Relaxed) {
            503
        } else {
            fate.status(attempt)
        };
        let id = post.id().unwrap_or_default().to_owned();
        let mut answered = lock(&self.answered);
        let answers = answered.entry(id).or_default();
        // A request on a kept connection that is cut is repeated within its attempt.
        if status != 0 || answers.last() != Some(&(attempt, 0)) {
            answers.push((attempt, status));
        }
        drop(answered);
        let hangs =
            lock(&self.hangs_until).and_then(|until| until.checked_duration_since(Instant::now()));
        let usual = 5 + n * 7_919 % 60 + if n.is_multiple_of(25) { 400 } else { 0 };
        let delay = Duration::from_millis(usual) + *lock(&self.slow) + hangs.unwrap_or_default();
        match status {
            0 => Answer::close().after(delay),
            status => Answer::status(status).after(delay),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
