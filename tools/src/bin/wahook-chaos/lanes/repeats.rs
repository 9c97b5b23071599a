//! Repeats among the posts of a load.

use std::collections::{BTreeMap, BTreeSet};

use super::load::Event;

/// Counts of repeats.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Repeats {
    /// Posts beyond those of a run without faults.
    pub(super) posts: usize,
    /// Events with such posts.
    pub(super) events: usize,
    /// Posts of an event after one of a later event of its chat.
    pub(super) late: usize,
    /// Most of them in a chat.
    pub(super) most_late: usize,
}

impl Repeats {
    /// Counts posts in the order of their arrival: the event of each, and the number of the
    /// attempt if it failed.
    pub(super) fn of(posts: impl Iterator<Item = (Event, Option<u32>)>) -> Self {
        let mut counts = BTreeMap::<Event, (usize, BTreeSet<u32>)>::new();
        let mut last = BTreeMap::<u64, u64>::new();
        let mut late = BTreeMap::<u64, usize>::new();
        for ((chat, number), failed) in posts {
            let (count, failures) = counts.entry((chat, number)).or_default();
            *count += 1;
            failures.extend(failed);
            let last = last.entry(chat).or_insert(number);
            if number < *last {
                *late.entry(chat).or_default() += 1;
            }
            *last = number.max(*last);
        }
        let repeats = counts
            .values()
            .map(|(count, failures)| count.saturating_sub(failures.len() + 1));
        Self {
            posts: repeats.clone().sum(),
            events: repeats.filter(|repeats| *repeats > 0).count(),
            late: late.values().sum(),
            most_late: late.values().max().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_attempts_are_expected_and_each_other_post_is_a_repeat() {
        let (a, b) = ((1, 1), (2, 1));
        let posts = [(a, Some(1)), (b, None), (a, None)];
        assert_eq!(Repeats::of(posts.into_iter()), Repeats::default());
        let posts = [(a, Some(1)), (b, None), (a, Some(1)), (a, None), (a, None)];
        let repeats = Repeats::of(posts.into_iter());
        assert_eq!((repeats.posts, repeats.events), (2, 1));
    }

    #[test]
    fn post_after_one_of_a_later_event_of_its_chat_is_late() {
        let posts = [(1, 1), (1, 2), (2, 1), (1, 1), (1, 1), (2, 2), (2, 1)];
        let repeats = Repeats::of(posts.map(|event| (event, None)).into_iter());
        assert_eq!((repeats.late, repeats.most_late), (3, 2));
    }
}
