//! Results of a fault for the events of a load.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wahook_tests::chats::{ChatOrder, Chats, event_of};
use wahook_tests::receiver::Post;

use super::load::Event;
use super::repeats::Repeats;

/// Results of one fault.
#[derive(Debug)]
pub(super) struct Outcome {
    fault: String,
    events: usize,
    order: ChatOrder,
    repeats: Repeats,
    bounds: Bounds,
    /// Longest time from the first request of an event to its first attempt.
    longest_wait: Duration,
    pub(super) note: String,
}

/// Most repeats that a fault may cause.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Events that are repeated.
    pub(super) repeated: usize,
    /// Late posts of a chat; `None` if only the repeats are bounded.
    pub(super) late: Option<usize>,
}

impl Outcome {
    /// Judges all posts of these events. Those that `fails` are no success, and the usual
    /// number of an event's posts is one more than those.
    pub(super) fn of(
        fault: impl Into<String>,
        posted: &[(Event, Instant)],
        posts: &[Arc<Post>],
        fails: impl Fn(&Post) -> bool,
        bounds: Bounds,
    ) -> Self {
        let all = Chats {
            chats: 1,
            each: posted.len(),
            senders: 1,
        };
        let first = first_arrivals(posts);
        let waits = posted.iter().filter_map(|(event, at)| {
            let arrived = first.get(event)?;
            Some(arrived.saturating_duration_since(*at))
        });
        Self {
            fault: fault.into(),
            events: posted.len(),
            order: all.order(posts, &fails),
            repeats: Repeats::of(posts.iter().map(|post| {
                let attempt = fails(post).then(|| post.attempt()).flatten();
                (event_of(post), attempt)
            })),
            bounds,
            longest_wait: waits.max().unwrap_or_default(),
            note: String::new(),
        }
    }

    /// Returns a Markdown table, with the notes behind it.
    pub(super) fn table(outcomes: &[Self]) -> String {
        let mut text = "\
            | fault | events | lost | first attempts out of order | first successes out of order \
            | repeats | repeated events (at most) | late posts | of one chat (at most) \
            | longest wait |\n|---|---|---|---|---|---|---|---|---|---|\n"
            .to_owned();
        text.extend(outcomes.iter().map(Self::row));
        let noted: Vec<_> = outcomes.iter().filter(|o| !o.note.is_empty()).collect();
        if !noted.is_empty() {
            text.push('\n');
        }
        let note = |outcome: &&Self| format!("- {}: {}\n", outcome.fault, outcome.note);
        text.extend(noted.iter().map(note));
        text
    }

    /// Returns each count that exceeds its bound.
    pub(super) fn exceeded(&self) -> Vec<String> {
        let late = self.bounds.late.unwrap_or(usize::MAX);
        let counts = [
            (self.order.missing, 0, "events lost"),
            (
                self.order.inverted_attempts,
                0,
                "first attempts out of order",
            ),
            (
                self.order.inverted_successes,
                0,
                "first successes out of order",
            ),
            (self.repeats.events, self.bounds.repeated, "events repeated"),
            (self.repeats.most_late, late, "late posts of one chat"),
        ];
        let exceeded = counts.iter().filter(|(count, most, _)| count > most);
        exceeded
            .map(|(count, most, what)| format!("{}: {count} {what}, more than {most}", self.fault))
            .collect()
    }

    fn row(&self) -> String {
        let late = self.bounds.late;
        let late = late.map_or_else(|| "–".to_owned(), |most| most.to_string());
        let cells = [
            self.fault.clone(),
            self.events.to_string(),
            self.order.missing.to_string(),
            self.order.inverted_attempts.to_string(),
            self.order.inverted_successes.to_string(),
            self.repeats.posts.to_string(),
            format!("{} ({})", self.repeats.events, self.bounds.repeated),
            self.repeats.late.to_string(),
            format!("{} ({late})", self.repeats.most_late),
            format!("{:.1} s", self.longest_wait.as_secs_f64()),
        ];
        format!("| {} |\n", cells.join(" | "))
    }
}

fn first_arrivals(posts: &[Arc<Post>]) -> BTreeMap<Event, Instant> {
    let mut first = BTreeMap::new();
    for post in posts {
        first.entry(event_of(post)).or_insert(post.arrived);
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(repeats: Repeats, bounds: Bounds) -> Outcome {
        Outcome {
            fault: "x".to_owned(),
            events: 2,
            order: Chats {
                chats: 1,
                each: 0,
                senders: 1,
            }
            .order(&[], |_| false),
            repeats,
            bounds,
            longest_wait: Duration::from_millis(1_250),
            note: String::new(),
        }
    }

    #[test]
    fn count_beyond_its_bound_is_named() {
        let repeats = || Repeats {
            posts: 7,
            events: 5,
            late: 4,
            most_late: 3,
        };
        let (repeated, late) = (5, Some(3));
        assert!(
            outcome(repeats(), Bounds { repeated, late })
                .exceeded()
                .is_empty()
        );
        let (repeated, late) = (4, Some(2));
        assert_eq!(
            outcome(repeats(), Bounds { repeated, late }).exceeded(),
            [
                "x: 5 events repeated, more than 4",
                "x: 3 late posts of one chat, more than 2"
            ]
        );
        let (repeated, late) = (5, None);
        let outcome = outcome(repeats(), Bounds { repeated, late });
        assert!(outcome.exceeded().is_empty());
        assert_eq!(
            outcome.row(),
            "| x | 2 | 0 | 0 | 0 | 7 | 5 (5) | 4 | 3 (–) | 1.2 s |\n"
        );
    }

    #[test]
    fn lost_event_is_beyond_the_bound() {
        let bounds = Bounds {
            repeated: 0,
            late: None,
        };
        let posted = vec![((1, 1), Instant::now())];
        let exceeded = Outcome::of("x", &posted, &[], |_| false, bounds).exceeded();
        assert_eq!(exceeded, ["x: 1 events lost, more than 0"]);
    }
}
