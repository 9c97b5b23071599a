//! Order in which recoveries have their turns, and their ends (pure).

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;
use wahook_domain::{EndpointName, Recoveries, Recovery};

/// Time after which a recovery without letters is looked at again. Commands, the console and its
/// jobs hide the letters that they have read, the console for up to 20 s.
const SECOND_LOOK_AFTER: Duration = Duration::from_secs(30);

/// Turns of recoveries.
#[derive(Default)]
pub(super) struct Turns {
    /// Recoveries of which no letter was found last.
    empty: BTreeMap<EndpointName, Empty>,
    /// Endpoint of the last turn.
    last: Option<EndpointName>,
}

struct Empty {
    recovery: Recovery,
    next: Next,
}

enum Next {
    Look(Instant),
    Nothing,
}

impl Turns {
    /// Returns the recoveries that may have letters.
    pub(super) fn due(&self, recoveries: &Recoveries, now: Instant) -> Recoveries {
        let mut due = recoveries.clone();
        due.retain(
            |endpoint, recovery| match self.next_of(endpoint, recovery) {
                None => true,
                Some(Next::Look(at)) => *at <= now,
                Some(Next::Nothing) => false,
            },
        );
        due
    }

    /// Returns the time at which the next recovery is due.
    pub(super) fn next_look(&self, recoveries: &Recoveries) -> Option<Instant> {
        let looks = recoveries.iter().filter_map(|(endpoint, recovery)| {
            match self.next_of(endpoint, recovery) {
                Some(Next::Look(at)) => Some(*at),
                _ => None,
            }
        });
        looks.min()
    }

    /// Returns the recovery whose turn is next, of each endpoint in turn.
    pub(super) fn take(&mut self, due: &Recoveries) -> Option<(EndpointName, Recovery)> {
        let is_after =
            |endpoint: &EndpointName| self.last.as_ref().is_none_or(|last| endpoint > last);
        let mut after = due.iter().filter(|(endpoint, _)| is_after(endpoint));
        let (endpoint, recovery) = after.next().or_else(|| due.iter().next())?;
        self.last = Some(endpoint.clone());
        Some((endpoint.clone(), *recovery))
    }

    /// Records recoveries of which no letter was found. They end at the second time.
    pub(super) fn record_empty(&mut self, found_empty: Recoveries, now: Instant) {
        for (endpoint, recovery) in found_empty {
            let next = match self.next_of(&endpoint, &recovery) {
                None => Next::Look(now + SECOND_LOOK_AFTER),
                Some(_) => Next::Nothing,
            };
            self.empty.insert(endpoint, Empty { recovery, next });
        }
    }

    /// Records that letters of an endpoint were found.
    pub(super) fn record_letters(&mut self, endpoint: &EndpointName) {
        self.empty.remove(endpoint);
    }

    fn next_of(&self, endpoint: &EndpointName, recovery: &Recovery) -> Option<&Next> {
        let empty = self.empty.get(endpoint)?;
        (empty.recovery == *recovery).then_some(&empty.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auto_redrive::tests::{name, recovery};

    fn recoveries(endpoints: &[&str]) -> Recoveries {
        let recovered = |endpoint: &&str| (name(endpoint), recovery(1));
        endpoints.iter().map(recovered).collect()
    }

    #[test]
    fn endpoints_take_turns() {
        let all = recoveries(&["a", "b", "c"]);
        let mut turns = Turns::default();
        let mut take = |due: &Recoveries| {
            let taken = turns.take(due);
            taken.map(|(endpoint, _)| endpoint.as_str().to_owned())
        };
        assert_eq!(take(&all).as_deref(), Some("a"));
        assert_eq!(take(&recoveries(&["a", "c"])).as_deref(), Some("c"));
        assert_eq!(take(&all).as_deref(), Some("a"));
        assert_eq!(take(&all).as_deref(), Some("b"));
        assert_eq!(take(&Recoveries::new()), None);
    }

    #[test]
    fn recovery_ends_when_no_letter_is_found_twice() {
        let (both, a) = (recoveries(&["a", "b"]), recoveries(&["a"]));
        let (mut turns, begun) = (Turns::default(), Instant::now());
        assert_eq!(turns.next_look(&both), None);
        turns.record_empty(a.clone(), begun);
        assert_eq!(turns.due(&both, begun), recoveries(&["b"]));
        let again = begun + SECOND_LOOK_AFTER;
        assert_eq!(turns.next_look(&both), Some(again));
        assert_eq!(turns.due(&both, again), both);
        turns.record_empty(a, again);
        let later = again + SECOND_LOOK_AFTER;
        assert_eq!(turns.due(&both, later), recoveries(&["b"]));
        assert_eq!(turns.next_look(&both), None);
    }

    #[test]
    fn recovery_with_letters_is_looked_at_twice_again() {
        let a = recoveries(&["a"]);
        let (mut turns, begun) = (Turns::default(), Instant::now());
        turns.record_empty(a.clone(), begun);
        turns.record_letters(&name("a"));
        assert_eq!(turns.due(&a, begun), a);
        turns.record_empty(a.clone(), begun);
        assert_eq!(turns.next_look(&a), Some(begun + SECOND_LOOK_AFTER));
    }

    #[test]
    fn another_recovery_of_an_endpoint_is_due_at_once() {
        let first = recoveries(&["a"]);
        let (mut turns, begun) = (Turns::default(), Instant::now());
        turns.record_empty(first.clone(), begun);
        turns.record_empty(first, begun + SECOND_LOOK_AFTER);
        let second = Recoveries::from([(name("a"), recovery(2))]);
        assert_eq!(turns.due(&second, begun), second);
        turns.record_empty(second.clone(), begun);
        assert_eq!(turns.next_look(&second), Some(begun + SECOND_LOOK_AFTER));
    }
}
