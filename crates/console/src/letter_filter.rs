//! Selection of dead letters (pure).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use wahook_domain::UnixMillis;

use crate::{letter::Letter, query::given};

/// Filter whose parts must all match.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct LetterFilter {
    endpoint: Option<String>,
    event: Option<String>,
    reason: Option<String>,
    /// Latest time of death, in the form of [`Letter::dead_at`], which sorts.
    until: Option<String>,
    /// `EVENT_ID/ENDPOINT`, or `EVENT_ID` for all endpoints; any if empty. Jobs
    /// store them apart from the filter.
    #[serde(skip)]
    ids: BTreeSet<String>,
}

impl LetterFilter {
    /// Creates a filter; an empty text matches all.
    pub(crate) fn new(
        endpoint: Option<String>,
        event: Option<String>,
        reason: Option<String>,
    ) -> Self {
        Self {
            endpoint: given(endpoint),
            event: given(event),
            reason: given(reason),
            until: None,
            ids: BTreeSet::new(),
        }
    }

    /// Returns the filter for dead letters up to that time.
    pub(crate) fn with_until(self, until: Option<UnixMillis>) -> Self {
        let until = until.map(UnixMillis::to_iso8601);
        Self { until, ..self }
    }

    /// Creates a filter for these dead letters.
    pub(crate) fn of_ids(ids: BTreeSet<String>) -> Self {
        Self::default().with_ids(ids)
    }

    /// Returns the filter for these dead letters only; for any if `ids` is empty.
    pub(crate) fn with_ids(self, ids: BTreeSet<String>) -> Self {
        Self { ids, ..self }
    }

    /// Returns true if only dead letters with certain ids match.
    pub(crate) fn is_of_ids(&self) -> bool {
        !self.ids.is_empty()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.ids.iter().cloned().collect()
    }

    /// Returns the text for the record of the action.
    pub(crate) fn subject(&self) -> String {
        if self.is_of_ids() {
            return self.ids().join(" ");
        }
        let parts = [
            ("endpoint", &self.endpoint),
            ("event", &self.event),
            ("reason", &self.reason),
        ];
        let parts = parts.iter().filter_map(|(name, value)| {
            let value = value.as_ref()?;
            Some(format!("{name}={value}"))
        });
        let parts: Vec<_> = parts.collect();
        if parts.is_empty() {
            return "all".to_owned();
        }
        parts.join(" ")
    }

    /// Returns true if the dead letter matches.
    pub(crate) fn matches(&self, letter: &Letter) -> bool {
        self.is_of(letter) && self.is_reason(letter)
    }

    /// Returns true if everything except the reason matches. An unknown property matches no
    /// part.
    pub(crate) fn is_of(&self, letter: &Letter) -> bool {
        let is =
            |wanted: &Option<String>, value: &Option<String>| wanted.is_none() || wanted == value;
        is(&self.endpoint, &letter.endpoint)
            && is(&self.event, &letter.event)
            && self.is_dead_in_time(letter)
            && self.has(letter)
    }

    /// Returns true for a letter of an unknown time too.
    fn is_dead_in_time(&self, letter: &Letter) -> bool {
        let times = self.until.as_ref().zip(letter.dead_at.as_ref());
        times.is_none_or(|(until, dead_at)| dead_at <= until)
    }

    /// Returns true if the reason matches.
    pub(crate) fn is_reason(&self, letter: &Letter) -> bool {
        let wanted = self.reason.as_deref();
        wanted.is_none_or(|wanted| wanted == letter.reason)
    }

    fn has(&self, letter: &Letter) -> bool {
        let is_listed = |id: &String| {
            let endpoint = letter.endpoint.as_ref();
            let key = endpoint.map(|endpoint| format!("{id}/{endpoint}"));
            self.ids.contains(id) || key.is_some_and(|key| self.ids.contains(&key))
        };
        self.ids.is_empty() || letter.event_id.as_ref().is_some_and(is_listed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> Letter {
        Letter {
            event_id: Some("e1".to_owned()),
            endpoint: Some("crm".to_owned()),
            event: Some("call".to_owned()),
            reason: "timeout".to_owned(),
            dead_at: None,
            attempts: None,
            accepted_at: None,
        }
    }

    #[test]
    fn ids_select_one_endpoint_or_all() {
        let selects = |id: &str| LetterFilter::of_ids([id.to_owned()].into()).matches(&letter());
        assert!(selects("e1") && selects("e1/crm"));
        assert!(!selects("e2") && !selects("e1/shop") && !selects(""));
    }

    #[test]
    fn subject_is_readable_and_a_stored_filter_is_read_back() {
        let text = |text: &str| Some(text.to_owned());
        let filter = LetterFilter::new(text("crm"), None, text("answered 500"));
        assert_eq!(filter.subject(), "endpoint=crm reason=answered 500");
        assert_eq!(LetterFilter::default().subject(), "all");
        let ids: BTreeSet<_> = ["e1/crm".to_owned(), "e2".to_owned()].into();
        let filter = filter.with_ids(ids.clone());
        assert_eq!(filter.subject(), "e1/crm e2");
        let stored = serde_json::to_string(&filter).unwrap();
        let read: LetterFilter = serde_json::from_str(&stored).unwrap();
        let read = read.with_ids(ids);
        assert_eq!(format!("{read:?}"), format!("{filter:?}"));
    }

    #[test]
    fn letters_that_died_later_are_not_selected() {
        let until = |until: i64| LetterFilter::default().with_until(Some(UnixMillis::new(until)));
        let letter = Letter {
            dead_at: Some(UnixMillis::new(2_000).to_iso8601()),
            ..letter()
        };
        assert!(until(2_000).matches(&letter) && !until(1_999).matches(&letter));
        let stored = serde_json::to_string(&until(1_999)).unwrap();
        let read: LetterFilter = serde_json::from_str(&stored).unwrap();
        assert!(!read.matches(&letter));
        // The order of a job of an earlier version.
        let earlier: LetterFilter =
            serde_json::from_str(r#"{"endpoint":null,"event":null,"reason":null}"#).unwrap();
        assert!(earlier.matches(&letter));
    }

    #[test]
    fn all_given_parts_must_match_and_unknown_properties_match_none() {
        let of = |endpoint: &str, event: &str, reason: &str| {
            let text = |text: &str| Some(text.to_owned());
            LetterFilter::new(text(endpoint), text(event), text(reason))
        };
        let letter = letter();
        assert!(
            of("crm", "", "").matches(&letter) && of("crm", "call", "timeout").matches(&letter)
        );
        assert!(!of("crm", "ready", "").matches(&letter));
        assert!(!of("crm", "call", "time").matches(&letter));
        let unknown = Letter {
            endpoint: None,
            ..letter
        };
        assert!(!of("crm", "", "").matches(&unknown) && of("", "call", "").matches(&unknown));
    }
}
