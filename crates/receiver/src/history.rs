//! Which requests are still remembered, and what do they tell about the next
//! one (pure but for the memory).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    answer::Answer,
    request::{Claims, Request},
    verify::{Evidence, Verdict},
};

/// The latest requests are kept, so many at most.
pub const MAX_REQUESTS: usize = 1_000;
/// And their bodies, headers and targets together take so much at most. (The
/// latest one is kept in any case.)
pub const MAX_BYTES: usize = 64 << 20;

/// One request with all that is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// From 1, in order of arrival.
    pub(crate) number: u64,
    pub(crate) request: Arc<Request>,
    pub(crate) claims: Claims,
    /// Since the last request of the same id.
    pub(crate) gap: Option<Duration>,
    pub(crate) verdict: Verdict,
    pub(crate) answer: Answer,
    pub(crate) fate: Fate,
    /// The step of the history at which it was last another one.
    pub(crate) changed: u64,
}

/// Whether the answer has gone out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is being delayed.
    Waiting,
    Given,
    /// The sender did not wait for it.
    Abandoned,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    bytes: usize,
    last_number: u64,
    step: u64,
}

impl History {
    /// What the earlier requests say about this one.
    pub(crate) fn evidence(&self, claims: &Claims, body: &[u8]) -> Evidence {
        let verified = || self.entries.iter().filter(|entry| entry.verdict.is_valid());
        Evidence {
            secret_has_verified: verified().next().is_some(),
            same_id_had_another_body: claims.id.is_some()
                && verified().any(|entry| {
                    entry.claims.id == claims.id && entry.request.body.as_ref() != body
                }),
        }
    }

    /// Remembers a request and forgets the oldest ones for it; returns its
    /// number.
    pub(crate) fn add(
        &mut self,
        request: Arc<Request>,
        claims: Claims,
        verdict: Verdict,
        (answer, fate): (Answer, Fate),
    ) -> u64 {
        self.last_number += 1;
        let number = self.last_number;
        let gap = self.gap(&claims, &request);
        self.bytes += request.bytes();
        let changed = self.next_step();
        self.entries.push_back(Entry {
            number,
            request,
            claims,
            gap,
            verdict,
            answer,
            fate,
            changed,
        });
        while self.entries.len() > MAX_REQUESTS
            || (self.bytes > MAX_BYTES && self.entries.len() > 1)
        {
            self.forget_oldest();
        }
        number
    }

    /// Says what became of an answer; nothing, where the request is forgotten.
    pub(crate) fn settle(&mut self, number: u64, fate: Fate) {
        let step = self.next_step();
        if let Some(entry) = self
            .position(number)
            .and_then(|at| self.entries.get_mut(at))
        {
            entry.fate = fate;
            entry.changed = step;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.next_step();
        self.entries.clear();
        self.bytes = 0;
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry> {
        self.entries.get(self.position(number)?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The number of the oldest one that is remembered, or that of the next
    /// one to come.
    pub(crate) fn first(&self) -> u64 {
        self.entries
            .front()
            .map_or(self.last_number + 1, |entry| entry.number)
    }

    /// Grows with every change.
    pub(crate) const fn step(&self) -> u64 {
        self.step
    }

    pub(crate) const fn next_step(&mut self) -> u64 {
        self.step += 1;
        self.step
    }

    fn gap(&self, claims: &Claims, request: &Request) -> Option<Duration> {
        claims.id.as_ref()?;
        let same = |entry: &&Entry| entry.claims.id == claims.id;
        let last = self.entries.iter().rev().find(same)?;
        Some(request.arrived.since(last.request.arrived))
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.bytes -= oldest.request.bytes();
        }
    }

    /// Numbers have no gaps.
    fn position(&self, number: u64) -> Option<usize> {
        let position = number.checked_sub(self.first())?;
        usize::try_from(position).ok()
    }
}

#[cfg(test)]
mod tests {
    use axum::{body::Bytes, http::HeaderMap};
    use wahook_domain::UnixMillis;

    use super::*;
    use crate::verify::Check;

    fn add(history: &mut History, id: &str, at_ms: i64, body: Vec<u8>, check: Check) -> u64 {
        let request = Request {
            arrived: UnixMillis::new(at_ms),
            method: axum::http::Method::POST,
            target: "/".to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::from(body),
            cut: None,
        };
        let claims = claims(id);
        let verdict = Verdict {
            body_signature: check.clone(),
            standard_webhooks: check,
        };
        history.add(
            Arc::new(request),
            claims,
            verdict,
            (Answer::status(200), Fate::Waiting),
        )
    }

    fn claims(id: &str) -> Claims {
        Claims {
            id: (!id.is_empty()).then(|| id.to_owned()),
            ..Claims::default()
        }
    }

    #[test]
    fn the_gap_is_that_to_the_last_attempt_of_the_same_id() {
        let mut history = History::default();
        for (id, at) in [
            ("a", 1_000),
            ("b", 2_000),
            ("a", 6_003),
            ("", 7_000),
            ("", 7_500),
        ] {
            add(&mut history, id, at, Vec::new(), Check::NoSecret);
        }
        let gaps: Vec<_> = history.iter().map(|entry| entry.gap).collect();
        let expected = Some(Duration::from_millis(5_003));
        assert_eq!(gaps, [None, None, expected, None, None]);
    }

    #[test]
    fn a_thousand_requests_are_kept_and_numbers_go_on() {
        let mut history = History::default();
        for n in 0..1_010 {
            add(&mut history, "a", n, Vec::new(), Check::NoSecret);
        }
        assert_eq!(history.iter().count(), MAX_REQUESTS);
        assert_eq!(history.first(), 11);
        assert!(history.get(10).is_none());
        assert_eq!(history.get(11).unwrap().number, 11);
        assert_eq!(history.get(1_010).unwrap().number, 1_010);
        assert!(history.get(1_011).is_none());
        history.clear();
        assert_eq!((history.first(), history.iter().count()), (1_011, 0));
        assert_eq!(
            add(&mut history, "a", 0, Vec::new(), Check::NoSecret),
            1_011
        );
    }

    #[test]
    fn large_bodies_push_older_requests_out_but_never_the_latest() {
        let mut history = History::default();
        for _ in 0..5 {
            add(&mut history, "a", 0, vec![0; 15 << 20], Check::NoSecret);
        }
        assert_eq!(history.first(), 2);
        add(
            &mut history,
            "a",
            0,
            vec![0; MAX_BYTES + 1],
            Check::NoSecret,
        );
        assert_eq!((history.first(), history.iter().count()), (6, 1));
        add(&mut history, "a", 0, Vec::new(), Check::NoSecret);
        assert_eq!((history.first(), history.iter().count()), (7, 1));
    }

    #[test]
    fn what_verified_before_is_evidence() {
        let mut history = History::default();
        add(&mut history, "a", 0, b"1".to_vec(), Check::NoSecret);
        assert_eq!(history.evidence(&claims("a"), b"2"), Evidence::default());
        add(&mut history, "a", 0, b"1".to_vec(), Check::Valid);
        let told = |id, body: &[u8]| {
            let evidence = history.evidence(&claims(id), body);
            (
                evidence.secret_has_verified,
                evidence.same_id_had_another_body,
            )
        };
        assert_eq!(told("a", b"2"), (true, true));
        assert_eq!(told("a", b"1"), (true, false));
        assert_eq!(told("b", b"2"), (true, false));
        assert_eq!(told("", b"2"), (true, false));
    }

    #[test]
    fn an_answer_that_comes_later_changes_its_entry() {
        let mut history = History::default();
        let number = add(&mut history, "a", 0, Vec::new(), Check::NoSecret);
        let before = history.step();
        history.settle(number, Fate::Abandoned);
        let entry = history.get(number).unwrap();
        assert_eq!(
            (entry.fate, entry.changed > before),
            (Fate::Abandoned, true)
        );
        history.settle(99, Fate::Given);
    }
}
