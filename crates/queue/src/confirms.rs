//! Which publishes the broker's confirms really confirm.
//!
//! The broker answers an unroutable mandatory publish with the message itself
//! (`basic.return`) and then its confirm. lapin hands each returned message to
//! whichever publish is confirmed next, and walks a `multiple` confirm in no
//! order, so the publish that carries a returned message need not be the one
//! that was returned. What holds is this: a return always reaches lapin before
//! its own publish's confirm, and each confirm takes at most one return. So
//!
//! - a confirm without a returned message is good, unless that publish's return
//!   was handed out with a confirm that lapin settled before it;
//! - a confirm that carries a returned message proves nothing for its own
//!   publish, whose return may still be waiting behind it.

use std::collections::HashMap;

/// What lapin said of one publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Confirmed, perhaps with somebody's returned message (its id).
    Ack { returned: Option<String> },
    /// Refused, perhaps with somebody's returned message (its id).
    Nack { returned: Option<String> },
}

/// What a publisher may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    Confirmed,
    Refused,
    Unroutable,
}

/// Remembers the ids of returned messages until their own confirms arrive.
#[derive(Debug, Default)]
pub(crate) struct Returns(HashMap<String, usize>);

impl Returns {
    /// Settles publishes that became ready together. They must be all that are
    /// ready, or a return that was handed to a later one would be overlooked.
    pub(crate) fn settle<'a>(
        &mut self,
        ready: impl Iterator<Item = (&'a str, &'a Verdict)> + Clone,
    ) -> Vec<Settled> {
        for (_, verdict) in ready.clone() {
            let (Verdict::Ack { returned } | Verdict::Nack { returned }) = verdict;
            if let Some(id) = returned {
                *self.0.entry(id.clone()).or_default() += 1;
            }
        }
        ready
            .map(|(id, verdict)| self.settle_one(id, verdict))
            .collect()
    }

    fn settle_one(&mut self, id: &str, verdict: &Verdict) -> Settled {
        let was_returned = self.take(id);
        match verdict {
            _ if was_returned => Settled::Unroutable,
            Verdict::Ack { returned: None } => Settled::Confirmed,
            Verdict::Ack { returned: Some(_) } => Settled::Unroutable,
            Verdict::Nack { .. } => Settled::Refused,
        }
    }

    fn take(&mut self, id: &str) -> bool {
        let Some(count) = self.0.get_mut(id) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(id);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(returned: Option<&str>) -> Verdict {
        Verdict::Ack {
            returned: returned.map(str::to_owned),
        }
    }

    fn settle(returns: &mut Returns, ready: &[(&str, Verdict)]) -> Vec<Settled> {
        returns.settle(ready.iter().map(|(id, verdict)| (*id, verdict)))
    }

    #[test]
    fn a_plain_confirm_confirms_and_a_nack_refuses() {
        let ready = [("a", ack(None)), ("b", Verdict::Nack { returned: None })];
        let settled = settle(&mut Returns::default(), &ready);
        assert_eq!(settled, [Settled::Confirmed, Settled::Refused]);
    }

    #[test]
    fn a_return_that_another_confirm_carries_still_counts_against_its_own_publish() {
        // One `multiple` confirm of a and b, where b was returned and lapin gave it to a.
        let ready = [("b", ack(None)), ("a", ack(Some("b")))];
        let settled = settle(&mut Returns::default(), &ready);
        assert_eq!(settled, [Settled::Unroutable, Settled::Unroutable]);
    }

    #[test]
    fn a_return_is_remembered_until_its_own_confirm_arrives() {
        let mut returns = Returns::default();
        assert_eq!(
            settle(&mut returns, &[("a", ack(Some("b")))]),
            [Settled::Unroutable]
        );
        assert_eq!(
            settle(&mut returns, &[("b", ack(None))]),
            [Settled::Unroutable]
        );
        assert_eq!(
            settle(&mut returns, &[("b", ack(None))]),
            [Settled::Confirmed]
        );
        assert!(returns.0.is_empty());
    }

    #[test]
    fn nothing_unroutable_is_ever_confirmed_however_lapin_hands_returns_out() {
        // Every way to hand the returns of two of four publishes to the four
        // confirms, first come first served as lapin does, in every order.
        for unroutable in 0..16_u8 {
            for order in permutations(&[0, 1, 2, 3]) {
                let mut waiting: Vec<_> = (0..4).filter(|i| unroutable >> i & 1 == 1).collect();
                let names = ["a", "b", "c", "d"];
                let ready: Vec<_> = order
                    .iter()
                    .map(|i| {
                        let returned = (!waiting.is_empty()).then(|| waiting.remove(0));
                        (names[*i], ack(returned.map(|r: usize| names[r])))
                    })
                    .collect();
                for split in 0..=4 {
                    let mut returns = Returns::default();
                    let (first, second) = ready.split_at(split);
                    let mut settled = settle(&mut returns, first);
                    settled.extend(settle(&mut returns, second));
                    for (i, verdict) in order.iter().zip(&settled) {
                        let routed = unroutable >> i & 1 == 0;
                        assert!(
                            routed || *verdict != Settled::Confirmed,
                            "{unroutable:b} {ready:?}"
                        );
                    }
                }
            }
        }
    }

    fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
        if items.len() < 2 {
            return vec![items.to_vec()];
        }
        let mut all = Vec::new();
        for (i, first) in items.iter().enumerate() {
            let mut rest = items.to_vec();
            rest.remove(i);
            for mut tail in permutations(&rest) {
                tail.insert(0, *first);
                all.push(tail);
            }
        }
        all
    }
}
