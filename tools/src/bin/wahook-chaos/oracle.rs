//! Decides whether the results of a row are correct.
//!
//! Compares the accepted events and their expected results with the posts at the webhook, the
//! log records and the dead letters. Pure functions: all input is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::script::{End, Expected};

/// Results of a row.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// Accepted events and their expected results, by id.
    pub(crate) accepted: BTreeMap<String, Expected>,
    /// Posts of this row at the webhook, in order.
    pub(crate) posts: Vec<Seen>,
    /// Log records, by id.
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) letters: Vec<Letter>,
}

/// Dead letter.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) id: String,
    /// True if it was published as persistent. A quorum queue also keeps other messages, so a kill
    /// of the broker would not reveal the fault; another type of queue would lose them.
    pub(crate) is_persistent: bool,
}

/// Post at the webhook.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) attempt: u32,
    /// Time since the start of the row.
    pub(crate) at: Duration,
    /// True if it was answered 2xx.
    pub(crate) succeeded: bool,
    /// True if its body equals the accepted bytes.
    pub(crate) intact: bool,
    pub(crate) signed: bool,
}

/// Document of the log.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) status: String,
    /// Highest attempt number in the record.
    pub(crate) highest_attempt: u32,
}

/// Faults by event id. All sets are empty in a correct run.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) events: usize,
    /// Accepted, but neither delivered nor (if expected) a dead letter.
    pub(crate) lost: BTreeSet<String>,
    /// Delivered or dead-lettered without having been accepted.
    pub(crate) uninvited: BTreeSet<String>,
    /// Missing or wrong in the log.
    pub(crate) unlogged: BTreeSet<String>,
    /// Different bytes, invalid signatures, or not persistent.
    pub(crate) damaged: BTreeSet<String>,
    /// Posts and dead letters in excess of a run without faults.
    pub(crate) duplicates: u64,
    /// Longest time between two consecutive posts.
    pub(crate) longest_stall: Duration,
}

pub(crate) fn classify(evidence: &Evidence) -> Verdict {
    let mut verdict = Verdict {
        events: evidence.accepted.len(),
        ..Verdict::default()
    };
    let letters = evidence.letters.iter();
    let transient = letters.clone().filter(|letter| !letter.is_persistent);
    verdict.damaged = transient.map(|letter| letter.id.clone()).collect();
    let letters: BTreeSet<&str> = letters.map(|letter| letter.id.as_str()).collect();
    let mut posts: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
    for post in &evidence.posts {
        posts.entry(&post.id).or_default().push(post);
        if !post.intact || !post.signed {
            verdict.damaged.insert(post.id.clone());
        }
    }
    for (id, expected) in &evidence.accepted {
        let posts = posts.get(id.as_str()).map_or(&[][..], Vec::as_slice);
        let ended = match expected.end {
            End::Delivered => posts.iter().any(|post| post.succeeded),
            End::Dead => !posts.is_empty() && letters.contains(id.as_str()),
        };
        if !ended {
            verdict.lost.insert(id.clone());
        }
        let highest = posts.iter().map(|post| post.attempt).max().unwrap_or(0);
        if !is_logged(evidence.records.get(id), expected.end, highest) {
            verdict.unlogged.insert(id.clone());
        }
    }
    let seen = posts.keys().copied().chain(letters.iter().copied());
    let uninvited = seen.filter(|id| !evidence.accepted.contains_key(*id));
    verdict.uninvited = uninvited.map(str::to_owned).collect();
    verdict.duplicates = duplicates(evidence, letters.len());
    verdict.longest_stall = longest_gap(&evidence.posts);
    verdict
}

fn is_logged(record: Option<&Record>, end: End, highest_attempt: u32) -> bool {
    let status = match end {
        End::Delivered => "success",
        End::Dead => "failed",
    };
    record
        .is_some_and(|record| record.status == status && record.highest_attempt >= highest_attempt)
}

fn duplicates(evidence: &Evidence, ids_of_letters: usize) -> u64 {
    let expected: u64 = evidence.accepted.values().map(|e| u64::from(e.posts)).sum();
    let posts = (evidence.posts.len() as u64).saturating_sub(expected);
    posts + (evidence.letters.len() - ids_of_letters) as u64
}

fn longest_gap(posts: &[Seen]) -> Duration {
    let later = posts.iter().skip(1);
    let gaps = posts
        .iter()
        .zip(later)
        .map(|(a, b)| b.at.saturating_sub(a.at));
    gaps.max().unwrap_or_default()
}

impl Verdict {
    pub(crate) fn is_good(&self) -> bool {
        self.lost.is_empty()
            && self.uninvited.is_empty()
            && self.unlogged.is_empty()
            && self.damaged.is_empty()
    }
}

/// Lists the faults, with a few examples each.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = [
            ("lost", &self.lost),
            ("never accepted, but delivered", &self.uninvited),
            ("missing or wrong in the log", &self.unlogged),
            ("damaged", &self.damaged),
        ];
        for (what, ids) in faults.iter().filter(|(_, ids)| !ids.is_empty()) {
            let examples: Vec<&str> = ids.iter().take(5).map(String::as_str).collect();
            write!(f, "{} {what}, such as {}; ", ids.len(), examples.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(end: End, posts: u32) -> Expected {
        Expected { end, posts }
    }

    fn post(id: &str, attempt: u32, succeeded: bool) -> Seen {
        Seen {
            id: id.to_owned(),
            attempt,
            at: Duration::ZERO,
            succeeded,
            intact: true,
            signed: true,
        }
    }

    fn letter(id: &str) -> Letter {
        Letter {
            id: id.to_owned(),
            is_persistent: true,
        }
    }

    fn record(status: &str, highest_attempt: u32) -> Record {
        Record {
            status: status.to_owned(),
            highest_attempt,
        }
    }

    /// Correct results of a delivered event and a dead letter.
    fn all_is_well() -> Evidence {
        Evidence {
            accepted: [
                ("a".to_owned(), expected(End::Delivered, 1)),
                ("b".to_owned(), expected(End::Dead, 2)),
            ]
            .into(),
            posts: vec![post("a", 1, true), post("b", 1, false), post("b", 2, false)],
            records: [
                ("a".to_owned(), record("success", 1)),
                ("b".to_owned(), record("failed", 2)),
            ]
            .into(),
            letters: vec![letter("b")],
        }
    }

    #[test]
    fn expected_results_are_good() {
        let verdict = classify(&all_is_well());
        assert!(verdict.is_good(), "{verdict}");
        assert_eq!((verdict.events, verdict.duplicates), (2, 0));
    }

    #[test]
    fn event_without_a_post_is_lost() {
        let mut evidence = all_is_well();
        evidence.posts.remove(0);
        assert!(classify(&evidence).lost.contains("a"));
    }

    #[test]
    fn event_without_a_successful_post_is_lost() {
        let mut evidence = all_is_well();
        evidence.posts[0].succeeded = false;
        assert!(classify(&evidence).lost.contains("a"));
    }

    #[test]
    fn exhausted_event_without_a_dead_letter_is_lost() {
        let mut evidence = all_is_well();
        evidence.letters.clear();
        assert!(classify(&evidence).lost.contains("b"));
    }

    #[test]
    fn unknown_events_are_found_at_the_webhook_and_in_the_dead_letters() {
        let mut evidence = all_is_well();
        evidence.posts.push(post("c", 1, true));
        evidence.letters.push(letter("d"));
        let uninvited = classify(&evidence).uninvited;
        assert_eq!(uninvited.into_iter().collect::<Vec<_>>(), ["c", "d"]);
    }

    #[test]
    fn missing_unfinished_or_outdated_record_is_wrong() {
        let faults: [fn(&mut Evidence); 3] = [
            |evidence| evidence.records.clear(),
            |evidence| evidence.records.get_mut("b").unwrap().status = "retrying".to_owned(),
            |evidence| evidence.records.get_mut("b").unwrap().highest_attempt = 1,
        ];
        for fault in faults {
            let mut evidence = all_is_well();
            fault(&mut evidence);
            assert!(classify(&evidence).unlogged.contains("b"));
        }
    }

    #[test]
    fn different_bytes_and_invalid_signatures_are_damage() {
        for fault in [
            |post: &mut Seen| post.intact = false,
            |post: &mut Seen| {
                post.signed = false;
            },
        ] {
            let mut evidence = all_is_well();
            fault(&mut evidence.posts[0]);
            assert!(classify(&evidence).damaged.contains("a"));
        }
    }

    #[test]
    fn non_persistent_dead_letter_is_damage() {
        let mut evidence = all_is_well();
        evidence.letters[0].is_persistent = false;
        assert!(classify(&evidence).damaged.contains("b"));
    }

    #[test]
    fn excess_posts_and_dead_letters_are_counted_as_duplicates() {
        let mut evidence = all_is_well();
        evidence.posts.push(post("a", 1, true));
        evidence.letters.push(letter("b"));
        let verdict = classify(&evidence);
        assert!(verdict.is_good(), "{verdict}");
        assert_eq!(verdict.duplicates, 2);
    }

    #[test]
    fn longest_time_between_two_posts_is_the_stall() {
        let mut evidence = all_is_well();
        evidence.posts[1].at = Duration::from_secs(3);
        evidence.posts[2].at = Duration::from_secs(4);
        assert_eq!(classify(&evidence).longest_stall, Duration::from_secs(3));
    }
}
