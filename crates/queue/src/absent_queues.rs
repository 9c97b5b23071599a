//! Queues that do not exist. RabbitMQ logs an error for each look for one, so they are looked for
//! again only once they may exist.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use crate::{declaration::Declaration, topology::endpoint_of};

/// Time after which queues of registered endpoints are looked for again: a consumer with earlier
/// settings may have declared one that was deleted.
const AGAIN_AFTER: Duration = Duration::from_secs(60 * 60);

/// Queues that were looked for and not found.
#[derive(Debug, Default)]
pub struct AbsentQueues {
    queues: BTreeSet<String>,
    /// Declarations that were registered at a look.
    known: BTreeSet<Declaration>,
    /// Time of the last look for all queues of registered endpoints.
    looked_at: Option<Instant>,
}

impl AbsentQueues {
    /// Forgets the queues that may exist now: all after a new declaration, because a consumer
    /// registers its endpoints once it has declared their queues, and now and then those of
    /// registered endpoints.
    pub(crate) fn forget_outdated(&mut self, known: &BTreeSet<Declaration>, now: Instant) {
        let is_again = |at| now.saturating_duration_since(at) >= AGAIN_AFTER;
        if !known.is_subset(&self.known) {
            self.known.extend(known.iter().cloned());
            self.queues.clear();
        } else if self.looked_at.is_none_or(is_again) {
            let registered: BTreeSet<_> = known.iter().map(|known| &known.endpoint).collect();
            let is_registered = |queue: &str| {
                endpoint_of(queue).is_some_and(|endpoint| registered.contains(&endpoint))
            };
            self.queues.retain(|queue| !is_registered(queue));
        } else {
            return;
        }
        self.looked_at = Some(now);
    }

    pub(crate) fn contains(&self, queue: &str) -> bool {
        self.queues.contains(queue)
    }

    pub(crate) fn add(&mut self, queue: String) {
        self.queues.insert(queue);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(declarations: &[&str]) -> BTreeSet<Declaration> {
        let parsed = declarations.iter().map(|text| text.parse().unwrap());
        parsed.collect()
    }

    #[test]
    fn queue_that_does_not_exist_is_looked_for_again_once_it_may() {
        let start = Instant::now();
        let mut absent = AbsentQueues::default();
        let (default, deleted) = ("wahook.deliver.default", "wahook.deliver.3.1.crm");
        let look = |absent: &mut AbsentQueues, known: &BTreeSet<_>, minutes: u64| {
            absent.forget_outdated(known, start + Duration::from_secs(60 * minutes));
            let queues = [default, deleted].into_iter();
            let looks: Vec<_> = queues.filter(|queue| !absent.contains(queue)).collect();
            for queue in &looks {
                absent.add((*queue).to_owned());
            }
            looks
        };
        let crm = known(&["crm shared=3 *"]);
        assert_eq!(look(&mut absent, &crm, 0), [default, deleted]);
        for minute in 1..60 {
            assert_eq!(look(&mut absent, &crm, minute), [""; 0]);
        }
        // Only a registered endpoint may have its queue again without a new declaration.
        assert_eq!(look(&mut absent, &crm, 60), [deleted]);
        let both = known(&["crm shared=3 *", "default *"]);
        assert_eq!(look(&mut absent, &both, 61), [default, deleted]);
        // Two readers of the declarations see a part each.
        assert_eq!(look(&mut absent, &known(&[]), 62), [""; 0]);
        assert_eq!(look(&mut absent, &both, 63), [""; 0]);
    }
}
