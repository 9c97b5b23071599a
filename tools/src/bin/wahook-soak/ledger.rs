//! Ledger of an endpoint: the events it has received, their order, and their latencies.

use std::time::Duration;

use wahook_tests::timed_event::CHATS;

/// Set of numbers from 0, one bit each.
#[derive(Debug, Default)]
struct Numbers {
    words: Vec<u64>,
}

impl Numbers {
    /// Returns false if the number was in the set already.
    fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = place(number);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let Some(word) = self.words.get_mut(word) else {
            return false;
        };
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    fn contains(&self, number: u64) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }
}

fn place(number: u64) -> (usize, u64) {
    let word = usize::try_from(number / 64).unwrap_or(usize::MAX);
    (word, 1 << (number % 64))
}

/// Latest event of each chat, and the events that came after a later one.
#[derive(Debug, Default)]
struct ChatOrder {
    latest: Vec<Option<u64>>,
    inversions: u64,
}

impl ChatOrder {
    /// Adds the first occurrence of an event.
    fn add(&mut self, number: u64) {
        let chat = usize::try_from(number % CHATS).unwrap_or_default();
        if self.latest.len() <= chat {
            self.latest.resize(chat + 1, None);
        }
        if let Some(latest) = self.latest.get_mut(chat) {
            self.inversions += u64::from(latest.is_some_and(|latest| latest > number));
            *latest = (*latest).max(Some(number));
        }
    }
}

/// Number of the event within its chat, shifted so that chats differ.
fn place_in_chat(number: u64) -> u64 {
    number % CHATS * 7 + number / CHATS
}

fn fails_once(number: u64) -> bool {
    place_in_chat(number) % 100 == 37
}

fn is_slow(number: u64) -> bool {
    place_in_chat(number) % 500 == 11
}

/// Answer to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// 503, for the first attempt of one event in a hundred of each chat.
    Unavailable,
    /// 200 after a pause, for one event in five hundred of each chat.
    Slow,
    Success,
}

/// Events that an endpoint has received. Chats are numbers modulo [`CHATS`].
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    tried: Numbers,
    done: Numbers,
    attempts: ChatOrder,
    successes: ChatOrder,
    delivered: u64,
    repeats: u64,
    /// Latencies of first attempts since the last call of [`Self::take_latencies`], in ms.
    latencies: Vec<f64>,
}

impl Ledger {
    /// Records an attempt that arrived this long after its event was sent, and returns the answer.
    pub(crate) fn record(&mut self, number: u64, latency: Duration) -> Reply {
        let is_first = self.tried.insert(number);
        if is_first {
            self.attempts.add(number);
            self.latencies.push(latency.as_secs_f64() * 1e3);
            if fails_once(number) {
                return Reply::Unavailable;
            }
        }
        if self.done.insert(number) {
            self.successes.add(number);
            self.delivered += 1;
        } else {
            self.repeats += 1;
        }
        if is_first && is_slow(number) {
            return Reply::Slow;
        }
        Reply::Success
    }

    /// Returns the number of events that were answered 200.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) fn is_delivered(&self, number: u64) -> bool {
        self.done.contains(number)
    }

    /// Returns the number of attempts for events that had been answered 200.
    pub(crate) fn repeats(&self) -> u64 {
        self.repeats
    }

    /// Returns the numbers of first attempts and of first successes that came after those of a
    /// later event of their chat.
    pub(crate) fn inversions(&self) -> [u64; 2] {
        [self.attempts.inversions, self.successes.inversions]
    }

    pub(crate) fn take_latencies(&mut self) -> Vec<f64> {
        std::mem::take(&mut self.latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(2);

    fn record(ledger: &mut Ledger, numbers: &[u64]) -> Vec<Reply> {
        let record = |number: &u64| ledger.record(*number, LATENCY);
        numbers.iter().map(record).collect()
    }

    #[test]
    fn one_event_in_a_hundred_fails_once() {
        let mut ledger = Ledger::default();
        let replies = record(&mut ledger, &[36, 91, 91, 73]);
        use Reply::{Slow, Success, Unavailable};
        assert_eq!(replies, [Success, Unavailable, Success, Slow]);
        assert_eq!((ledger.delivered(), ledger.repeats()), (3, 0));
        assert_eq!(ledger.take_latencies(), [2.0; 3]);
        assert_eq!(ledger.take_latencies(), Vec::<f64>::new());
        let failing = (0..CHATS * 100).filter(|number| fails_once(*number));
        assert_eq!(failing.count() as u64, CHATS);
    }

    #[test]
    fn repeats_are_counted_and_do_not_fail() {
        let mut ledger = Ledger::default();
        let replies = record(&mut ledger, &[1, 1, 91, 91, 91]);
        assert_eq!(replies[4], Reply::Success);
        assert_eq!((ledger.delivered(), ledger.repeats()), (2, 2));
        assert!(ledger.is_delivered(91) && !ledger.is_delivered(92));
        assert!(!ledger.is_delivered(1 << 40));
    }

    #[test]
    fn order_of_each_chat_is_followed() {
        let mut ledger = Ledger::default();
        // Two chats, each in order.
        record(&mut ledger, &[5, CHATS + 4, CHATS + 5, 4 + 2 * CHATS]);
        assert_eq!(ledger.inversions(), [0, 0]);
        // A late event of the first chat, and a repeat, which does not count.
        record(&mut ledger, &[5 + 4 * CHATS, 5 + 3 * CHATS, 5]);
        assert_eq!(ledger.inversions(), [1, 1]);
    }

    #[test]
    fn success_after_that_of_a_later_event_is_an_inversion() {
        let mut ledger = Ledger::default();
        // The first attempt of 91 fails.
        record(&mut ledger, &[91, 91 + CHATS, 91]);
        assert_eq!(ledger.inversions(), [0, 1]);
    }
}
