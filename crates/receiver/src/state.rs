//! State shared by all requests: the history, the rule for answers, and the listeners.

use std::{
    fmt, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use wahook_runtime::clock;

use crate::{
    answer::{Answer, Rule},
    history::{AnswerState, Entry, History},
    request::{Claims, Request},
    shape::{Detail, RuleShape, Summary, Update},
    verify::{EarlierRequests, Keys, Verdict, verify},
};

/// Callback for every request, called after it is recorded.
pub(crate) type Listener = Box<dyn Fn(&Seen<'_>) + Send + Sync>;

/// Request with its verdict and its answer, for a listener.
#[derive(Debug)]
pub struct Seen<'a> {
    pub request: &'a Request,
    pub claims: &'a Claims,
    /// Result of the signature checks.
    pub verdict: &'a Verdict,
    pub answer: Answer,
}

pub(crate) struct State {
    keys: Option<Keys>,
    listener: Option<Listener>,
    /// Id of this start; numbers and steps are unique only within it.
    run: String,
    memory: Mutex<Memory>,
    /// Step of the history; a change wakes the streams.
    step: watch::Sender<u64>,
}

struct Memory {
    history: History,
    rule: Rule,
}

impl State {
    pub(crate) fn new(keys: Option<Keys>, listener: Option<Listener>) -> Self {
        Self {
            keys,
            listener,
            run: format!("{:x}-{:x}", clock::now().get(), process::id()),
            memory: Mutex::new(Memory {
                history: History::default(),
                rule: Rule::OK,
            }),
            step: watch::Sender::new(0),
        }
    }

    /// Records a request. Returns its number and its answer. `answer` overrides the rule,
    /// for incomplete requests.
    pub(crate) fn receive(&self, request: Request, answer: Option<Answer>) -> (u64, Answer) {
        let claims = request.claims();
        let earlier = self.lock().history.earlier(&claims, &request.body);
        // Outside the lock, because hashing a large body takes a while.
        let verdict = self.verify(&request, earlier);
        let request = Arc::new(request);
        let (number, answer) = self.record(&request, &claims, &verdict, answer);
        if let Some(listener) = &self.listener {
            let (request, claims, verdict) = (request.as_ref(), &claims, &verdict);
            listener(&Seen {
                request,
                claims,
                verdict,
                answer,
            });
        }
        (number, answer)
    }

    pub(crate) fn set_answer_state(&self, number: u64, state: AnswerState) {
        self.change(|memory| memory.history.set_answer_state(number, state));
    }

    pub(crate) fn clear(&self) {
        self.change(|memory| memory.history.clear());
    }

    pub(crate) fn set_rule(&self, rule: Rule) {
        self.change(|memory| {
            memory.rule = rule;
            memory.history.next_step();
        });
    }

    /// Returns all changes since this step.
    pub(crate) fn update_since(&self, step: u64) -> Update {
        let memory = self.lock();
        let changed = memory.history.iter().filter(|entry| entry.changed > step);
        Update {
            run: self.run.clone(),
            step: memory.history.step(),
            first: memory.history.first(),
            has_secret: self.keys.is_some(),
            rule: RuleShape::from(memory.rule),
            deliveries: changed.map(Summary::from).collect(),
        }
    }

    /// Returns the detail of a request, or `None` if it is no longer kept.
    pub(crate) fn detail(&self, number: u64, origin: &str) -> Option<Detail> {
        // Cloned, because formatting a large body takes a while.
        let entry: Entry = self.lock().history.get(number)?.clone();
        Some(Detail::new(&entry, origin))
    }

    /// Returns a request, or `None` if it is no longer kept.
    pub(crate) fn request(&self, number: u64) -> Option<Arc<Request>> {
        let memory = self.lock();
        Some(Arc::clone(&memory.history.get(number)?.request))
    }

    /// Returns all requests kept, oldest first.
    pub(crate) fn requests(&self) -> Vec<(u64, Arc<Request>)> {
        let memory = self.lock();
        let entries = memory.history.iter();
        entries
            .map(|entry| (entry.number, Arc::clone(&entry.request)))
            .collect()
    }

    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    pub(crate) fn steps(&self) -> watch::Receiver<u64> {
        self.step.subscribe()
    }

    fn verify(&self, request: &Request, earlier: EarlierRequests) -> Verdict {
        verify(
            &request.headers,
            &request.body,
            self.keys.as_ref(),
            request.arrived,
            earlier,
        )
    }

    fn record(
        &self,
        request: &Arc<Request>,
        claims: &Claims,
        verdict: &Verdict,
        answer: Option<Answer>,
    ) -> (u64, Answer) {
        self.change(|memory| {
            let answer = answer.unwrap_or_else(|| {
                let (answer, then) = memory.rule.applied();
                memory.rule = then;
                answer
            });
            let state = if answer.delay.is_zero() {
                AnswerState::Given
            } else {
                AnswerState::Waiting
            };
            let (request, claims, verdict) = (Arc::clone(request), claims.clone(), verdict.clone());
            let number = memory
                .history
                .add(request, claims, verdict, (answer, state));
            (number, answer)
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.lock();
        let changed = change(&mut memory);
        let step = memory.history.step();
        drop(memory);
        self.step.send_if_modified(|published| {
            let is_newer = step > *published;
            *published = step.max(*published);
            is_newer
        });
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}
