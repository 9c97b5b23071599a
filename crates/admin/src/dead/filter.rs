//! Filter for dead letters.

use wahook_domain::{EndpointName, UnixMillis};
use wahook_queue::DeadLetter;
use wahook_runtime::Age;

/// Filter whose criteria must all match; an empty criterion matches all dead letters.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    /// Event names.
    pub(super) events: Vec<String>,
    pub(super) endpoints: Vec<EndpointName>,
    /// Event ids.
    pub(super) ids: Vec<String>,
    /// Dead for longer than this.
    pub(super) older_than: Option<Age>,
    /// Dead for less than this.
    pub(super) newer_than: Option<Age>,
    /// Reference time of the ages.
    pub(super) now: UnixMillis,
}

impl Filter {
    /// Returns true if the dead letter matches. An unknown property matches no criterion.
    pub(super) fn matches(&self, letter: &DeadLetter) -> bool {
        let age = letter.died_at.map(|died_at| self.now.since(died_at));
        is_in(&self.events, letter.event.as_ref())
            && is_in(&self.endpoints, letter.endpoint.as_ref())
            && is_in(&self.ids, letter.id.as_ref())
            && (self.older_than).is_none_or(|limit| age.is_some_and(|age| age > limit.get()))
            && (self.newer_than).is_none_or(|limit| age.is_some_and(|age| age < limit.get()))
    }
}

fn is_in<T: PartialEq>(list: &[T], value: Option<&T>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_queue::Poison;

    const NOW: UnixMillis = UnixMillis::new(100_000_000);

    fn everything() -> Filter {
        Filter {
            events: Vec::new(),
            endpoints: Vec::new(),
            ids: Vec::new(),
            older_than: None,
            newer_than: None,
            now: NOW,
        }
    }

    fn letter(died_before: Option<i64>) -> DeadLetter {
        DeadLetter {
            id: Some("evt-1".to_owned()),
            event: Some("call".to_owned()),
            endpoint: Some(EndpointName::default()),
            reason: "answered 500".to_owned(),
            died_at: died_before.map(|seconds| UnixMillis::new(NOW.get() - seconds * 1_000)),
            is_outage: None,
            moved_by_broker: false,
            content: Err(Poison::Missing("type")),
            payload: "".into(),
        }
    }

    #[test]
    fn all_given_criteria_must_match() {
        let letter = letter(Some(60));
        assert!(everything().matches(&letter));
        let named = |event: &str, id: &str| Filter {
            events: vec!["ready".to_owned(), event.to_owned()],
            ids: vec![id.to_owned()],
            ..everything()
        };
        assert!(named("call", "evt-1").matches(&letter));
        assert!(!named("call", "evt-2").matches(&letter));
        assert!(!named("calls", "evt-1").matches(&letter));
        let of = |endpoint: &str| Filter {
            endpoints: vec![EndpointName::parse(endpoint).unwrap()],
            ..everything()
        };
        assert!(of("default").matches(&letter) && !of("crm").matches(&letter));
    }

    #[test]
    fn age_counts_from_death_and_an_unknown_age_never_matches() {
        let aged = |older: Option<&str>, newer: Option<&str>| Filter {
            older_than: older.map(|age| age.parse().unwrap()),
            newer_than: newer.map(|age| age.parse().unwrap()),
            ..everything()
        };
        let letter_of = letter;
        assert!(aged(Some("59s"), Some("61s")).matches(&letter_of(Some(60))));
        assert!(!aged(Some("1m"), None).matches(&letter_of(Some(60))));
        assert!(!aged(None, Some("1m")).matches(&letter_of(Some(60))));
        assert!(!aged(Some("1s"), None).matches(&letter_of(None)));
        assert!(everything().matches(&letter_of(None)));
    }
}
