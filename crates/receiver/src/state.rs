//! What all requests share: the history, the rule for answers, and who is
//! told of changes.

use std::{
    fmt, process,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use wahook_runtime::clock;

use crate::{
    answer::{Answer, Rule},
    history::{Entry, Fate, History},
    request::{Claims, Request},
    shape::{Detail, RuleShape, Summary, Update},
    verify::{Evidence, Keys, Verdict, verify},
};

/// Called with every request, once it is recorded.
pub(crate) type Listener = Box<dyn Fn(&Seen<'_>) + Send + Sync>;

/// What a listener is told.
#[derive(Debug)]
pub struct Seen<'a> {
    /// As it came.
    pub request: &'a Request,
    /// What it says of itself.
    pub claims: &'a Claims,
    /// Whether it is signed.
    pub verdict: &'a Verdict,
    /// What it is answered.
    pub answer: Answer,
}

pub(crate) struct State {
    keys: Option<Keys>,
    listener: Option<Listener>,
    /// Tells the numbers and steps of one start from those of the next.
    run: String,
    memory: Mutex<Memory>,
    /// The history's step; its change wakes those who follow.
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

    /// Records a request; returns its number and how to answer it. `answer`
    /// overrules the rule, for what is no whole request.
    pub(crate) fn take(&self, request: Request, answer: Option<Answer>) -> (u64, Answer) {
        let claims = request.claims();
        let evidence = self.lock().history.evidence(&claims, &request.body);
        // Outside of the lock, because hashing a large body takes a while.
        let verdict = self.verify(&request, evidence);
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

    /// Says what became of an answer.
    pub(crate) fn settle(&self, number: u64, fate: Fate) {
        self.change(|memory| memory.history.settle(number, fate));
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

    /// Everything that has changed since that step.
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

    /// `None` where the request is not remembered.
    pub(crate) fn detail(&self, number: u64, origin: &str) -> Option<Detail> {
        // Cloned, because to print a large body takes a while.
        let entry: Entry = self.lock().history.get(number)?.clone();
        Some(Detail::of(&entry, origin))
    }

    /// `None` where the request is not remembered.
    pub(crate) fn request(&self, number: u64) -> Option<Arc<Request>> {
        let memory = self.lock();
        Some(Arc::clone(&memory.history.get(number)?.request))
    }

    /// All requests that are remembered, oldest first.
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

    fn verify(&self, request: &Request, evidence: Evidence) -> Verdict {
        verify(
            &request.headers,
            &request.body,
            self.keys.as_ref(),
            request.arrived,
            evidence,
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
            let fate = if answer.delay.is_zero() {
                Fate::Given
            } else {
                Fate::Waiting
            };
            let (request, claims, verdict) = (Arc::clone(request), claims.clone(), verdict.clone());
            let number = memory.history.add(request, claims, verdict, (answer, fate));
            (number, answer)
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.lock();
        let changed = change(&mut memory);
        let step = memory.history.step();
        drop(memory);
        self.step.send_if_modified(|told| {
            let forward = step > *told;
            *told = step.max(*told);
            forward
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
