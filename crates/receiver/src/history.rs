//! Bounded history of requests, and what it tells about new ones.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use crate::{
    answer::Answer,
    request::{Claims, Request},
    verify::{EarlierRequests, Verdict},
};

/// Maximum number of requests kept.
pub const MAX_REQUESTS: usize = 1_000;
/// Maximum size of the bodies, headers and targets kept, in bytes. The latest request is
/// kept in any case.
pub const MAX_BYTES: usize = 64 << 20;

/// Request with its verdict and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Number from 1, in order of arrival.
    pub(crate) number: u64,
    pub(crate) request: Arc<Request>,
    pub(crate) claims: Claims,
    /// Time since the last request with the same id.
    pub(crate) gap: Option<Duration>,
    pub(crate) verdict: Verdict,
    pub(crate) answer: Answer,
    pub(crate) answer_state: AnswerState,
    /// Step of the history at the last change of this entry.
    pub(crate) changed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnswerState {
    /// The answer is delayed.
    Waiting,
    Given,
    /// The sender disconnected before the answer.
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
    /// Returns what earlier requests tell about this one.
    pub(crate) fn earlier(&self, claims: &Claims, body: &[u8]) -> EarlierRequests {
        let verified = || self.entries.iter().filter(|entry| entry.verdict.is_valid());
        EarlierRequests {
            secret_has_verified: verified().next().is_some(),
            same_id_had_another_body: claims.id.is_some()
                && verified().any(|entry| {
                    entry.claims.id == claims.id && entry.request.body.as_ref() != body
                }),
        }
    }

    /// Adds a request and removes the oldest ones beyond the limits. Returns its number.
    pub(crate) fn add(
        &mut self,
        request: Arc<Request>,
        claims: Claims,
        verdict: Verdict,
        (answer, answer_state): (Answer, AnswerState),
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
            answer_state,
            changed,
        });
        while self.entries.len() > MAX_REQUESTS
            || (self.bytes > MAX_BYTES && self.entries.len() > 1)
        {
            self.remove_oldest();
        }
        number
    }

    /// Sets the state of an answer. Does nothing if the request is no longer kept.
    pub(crate) fn set_answer_state(&mut self, number: u64, answer_state: AnswerState) {
        let step = self.next_step();
        if let Some(entry) = self
            .position(number)
            .and_then(|at| self.entries.get_mut(at))
        {
            entry.answer_state = answer_state;
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

    /// Returns the number of the oldest request kept, or of the next one if there is none.
    pub(crate) fn first(&self) -> u64 {
        self.entries
            .front()
            .map_or(self.last_number + 1, |entry| entry.number)
    }

    /// Returns the current step, which grows with every change.
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

    fn remove_oldest(&mut self) {
        if let Some(oldest) = self.entries.pop_front() {
            self.bytes -= oldest.request.bytes();
        }
    }

    /// Returns the index of a request; numbers have no gaps.
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
            (Answer::status(200), AnswerState::Waiting),
        )
    }

    fn claims(id: &str) -> Claims {
        Claims {
            id: (!id.is_empty()).then(|| id.to_owned()),
            ..Claims::default()
        }
    }

    #[test]
    fn gap_is_the_time_since_the_last_request_with_the_same_id() {
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
    fn thousand_requests_are_kept_and_numbers_continue() {
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
    fn large_bodies_evict_older_requests_but_never_the_latest() {
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
    fn verified_requests_are_evidence() {
        let mut history = History::default();
        add(&mut history, "a", 0, b"1".to_vec(), Check::NoSecret);
        assert_eq!(
            history.earlier(&claims("a"), b"2"),
            EarlierRequests::default()
        );
        add(&mut history, "a", 0, b"1".to_vec(), Check::Valid);
        let flags = |id, body: &[u8]| {
            let earlier = history.earlier(&claims(id), body);
            (
                earlier.secret_has_verified,
                earlier.same_id_had_another_body,
            )
        };
        assert_eq!(flags("a", b"2"), (true, true));
        assert_eq!(flags("a", b"1"), (true, false));
        assert_eq!(flags("b", b"2"), (true, false));
        assert_eq!(flags("", b"2"), (true, false));
    }

    #[test]
    fn answer_state_change_updates_the_entry() {
        let mut history = History::default();
        let number = add(&mut history, "a", 0, Vec::new(), Check::NoSecret);
        let before = history.step();
        history.set_answer_state(number, AnswerState::Abandoned);
        let entry = history.get(number).unwrap();
        assert_eq!(
            (entry.answer_state, entry.changed > before),
            (AnswerState::Abandoned, true)
        );
        history.set_answer_state(99, AnswerState::Given);
    }
}
