//! Endpoints that hold stranded events, as log, metric and `/readyz` show them.

use std::collections::{BTreeMap, BTreeSet};

use wahook_domain::EndpointName;
use wahook_queue::EndpointQueue;

/// Limit of the endpoints that are named; the others are summed.
const MAX_NAMED: usize = 20;
/// Label of the sum, which is no valid name of an endpoint.
const OTHERS: &str = "(others)";
/// Advice to an operator.
pub(super) const ADVICE: &str = "configure the endpoint again, or use the commands `endpoints list`, \
                      `endpoints move OLD NEW` and `endpoints drop OLD`";

/// Endpoints that are not served and hold messages, with their numbers, the largest first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stranded(Vec<(EndpointName, u32)>);

impl Stranded {
    pub(super) fn of(
        census: &BTreeMap<EndpointName, EndpointQueue>,
        served: &BTreeSet<&EndpointName>,
    ) -> Self {
        let found = census.iter().map(|(name, queue)| (name, queue.messages()));
        let found = found.filter(|(name, messages)| *messages > 0 && !served.contains(name));
        let mut found: Vec<_> = found.map(|(name, count)| (name.clone(), count)).collect();
        found.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
        Self(found)
    }

    pub(super) fn endpoints(&self) -> BTreeSet<EndpointName> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Returns the endpoints that are named, with their numbers.
    pub(super) fn named(&self) -> impl Iterator<Item = &(EndpointName, u32)> {
        self.0.iter().take(MAX_NAMED)
    }

    /// Returns the values of the metric by label.
    pub(super) fn series(&self) -> impl Iterator<Item = (&str, i64)> {
        let named = self.named();
        let named = named.map(|(name, messages)| (name.as_str(), i64::from(*messages)));
        named.chain(self.others().map(|(_, messages)| (OTHERS, messages)))
    }

    /// Returns the number of endpoints that are not named, and of their messages.
    fn others(&self) -> Option<(usize, i64)> {
        let others = self.0.get(MAX_NAMED..).unwrap_or_default();
        let messages = others.iter().map(|(_, messages)| i64::from(*messages));
        (!others.is_empty()).then(|| (others.len(), messages.sum()))
    }

    /// Returns the text for `/readyz`; `None` if there are none.
    pub(super) fn note(&self) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let mut parts: Vec<_> = self
            .named()
            .map(|(name, messages)| format!("{name} ({messages})"))
            .collect();
        if let Some((endpoints, messages)) = self.others() {
            parts.push(format!("{endpoints} others ({messages})"));
        }
        let list = parts.join(", ");
        Some(format!(
            "events are queued for endpoints that are not configured: {list}; {ADVICE}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EndpointName {
        EndpointName::parse(text).unwrap()
    }

    fn census(
        queues: impl IntoIterator<Item = (String, u32)>,
    ) -> BTreeMap<EndpointName, EndpointQueue> {
        let queues = queues.into_iter().map(|(endpoint, queued)| {
            let queue = EndpointQueue {
                queued,
                ..EndpointQueue::default()
            };
            (name(&endpoint), queue)
        });
        queues.collect()
    }

    #[test]
    fn events_of_an_endpoint_that_is_not_served_are_stranded() {
        let mut queues = census([
            ("crm".to_owned(), 3),
            ("empty".to_owned(), 0),
            ("old".to_owned(), 7),
        ]);
        let crm = name("crm");
        let served = BTreeSet::from([&crm]);
        assert_eq!(
            Stranded::of(&queues, &served),
            Stranded(vec![(name("old"), 7)])
        );
        // A retry that waits is stranded too.
        queues.get_mut(&name("empty")).unwrap().waiting = Some(2);
        let stranded = Stranded::of(&queues, &served);
        let note = stranded.note().unwrap();
        assert!(note.contains("old (7), empty (2); "), "{note}");
        assert_eq!(Stranded(Vec::new()).note(), None);
    }

    #[test]
    fn at_most_twenty_endpoints_are_named_and_the_others_summed() {
        let queues = census((1..=23).map(|n| (format!("e{n}"), n)));
        let stranded = Stranded::of(&queues, &BTreeSet::new());
        let series: Vec<_> = stranded.series().collect();
        assert_eq!(series.len(), 21);
        assert_eq!(series.first(), Some(&("e23", 23)));
        assert_eq!(series.last(), Some(&("(others)", 6)));
        assert!(stranded.note().unwrap().contains("3 others (6)"));
    }
}
