//! Assignment of the broker's confirms to publishes.
//!
//! The broker answers an unroutable mandatory publish with the message itself
//! (`basic.return`) and then its confirm. lapin attaches each returned message
//! to the publish that is confirmed next, and walks a `multiple` confirm in no
//! order, so the publish that carries a returned message need not be the one
//! that was returned. Two facts hold: a return always reaches lapin before its
//! own publish's confirm, and each confirm carries at most one return.
//! Therefore
//!
//! - a confirm without a returned message is valid, unless that publish's
//!   return was attached to a confirm that lapin resolved before it;
//! - a confirm that carries a returned message proves nothing for its own
//!   publish, whose return may still be waiting behind it.

use std::collections::HashMap;

/// lapin's result of one publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RawConfirm {
    /// Confirmed, possibly with the returned message (its id) of any publish.
    Ack { returned: Option<String> },
    /// Refused, possibly with the returned message (its id) of any publish.
    Nack { returned: Option<String> },
}

/// Result of one publish, with the returns assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    Confirmed,
    Refused,
    Unroutable,
    /// Its confirm carries the return of another publish: its own return may follow.
    Undecided,
}

/// Ids of returned messages whose own confirms have not arrived.
#[derive(Debug, Default)]
pub(crate) struct Returns(HashMap<String, usize>);

impl Returns {
    /// Resolves publishes that became ready together. `ready` must contain all
    /// ready publishes, or a return that is attached to a later one is missed.
    pub(crate) fn resolve<'a>(
        &mut self,
        ready: impl Iterator<Item = (&'a str, &'a RawConfirm)> + Clone,
    ) -> Vec<Resolution> {
        for (_, confirm) in ready.clone() {
            let (RawConfirm::Ack { returned } | RawConfirm::Nack { returned }) = confirm;
            if let Some(id) = returned {
                *self.0.entry(id.clone()).or_default() += 1;
            }
        }
        ready
            .map(|(id, confirm)| self.resolve_one(id, confirm))
            .collect()
    }

    fn resolve_one(&mut self, id: &str, confirm: &RawConfirm) -> Resolution {
        let was_returned = self.take(id);
        match confirm {
            _ if was_returned => Resolution::Unroutable,
            RawConfirm::Ack { returned: None } => Resolution::Confirmed,
            RawConfirm::Ack { returned: Some(_) } => Resolution::Undecided,
            RawConfirm::Nack { .. } => Resolution::Refused,
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

    fn ack(returned: Option<&str>) -> RawConfirm {
        RawConfirm::Ack {
            returned: returned.map(str::to_owned),
        }
    }

    fn resolve(returns: &mut Returns, ready: &[(&str, RawConfirm)]) -> Vec<Resolution> {
        returns.resolve(ready.iter().map(|(id, confirm)| (*id, confirm)))
    }

    #[test]
    fn a_plain_confirm_confirms_and_a_nack_refuses() {
        let ready = [("a", ack(None)), ("b", RawConfirm::Nack { returned: None })];
        let resolved = resolve(&mut Returns::default(), &ready);
        assert_eq!(resolved, [Resolution::Confirmed, Resolution::Refused]);
    }

    #[test]
    fn a_return_that_another_confirm_carries_still_counts_against_its_own_publish() {
        // One `multiple` confirm of a and b, where b was returned and lapin
        // attached the return to a.
        let ready = [("b", ack(None)), ("a", ack(Some("b")))];
        let resolved = resolve(&mut Returns::default(), &ready);
        assert_eq!(resolved, [Resolution::Unroutable, Resolution::Undecided]);
    }

    #[test]
    fn a_return_is_remembered_until_its_own_confirm_arrives() {
        let mut returns = Returns::default();
        assert_eq!(
            resolve(&mut returns, &[("a", ack(Some("b")))]),
            [Resolution::Undecided]
        );
        assert_eq!(
            resolve(&mut returns, &[("b", ack(None))]),
            [Resolution::Unroutable]
        );
        assert_eq!(
            resolve(&mut returns, &[("b", ack(None))]),
            [Resolution::Confirmed]
        );
        assert!(returns.0.is_empty());
    }

    #[test]
    fn an_unroutable_publish_is_never_confirmed_however_lapin_attaches_returns() {
        // Each subset of four publishes is returned. lapin attaches the returns
        // to the four confirms first come, first served; all orders are tried.
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
                    let mut resolved = resolve(&mut returns, first);
                    resolved.extend(resolve(&mut returns, second));
                    for (i, resolution) in order.iter().zip(&resolved) {
                        let routed = unroutable >> i & 1 == 0;
                        assert!(
                            routed || *resolution != Resolution::Confirmed,
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
