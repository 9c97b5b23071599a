//! Outages of endpoints, and their ends, after which dead letters may be redriven.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
};

use tokio::sync::watch;
use wahook_domain::{AutoRedrive, EndpointName, HealthSignal, Recoveries, Recovery, UnixMillis};

/// Watch of one endpoint. Outlives changes of its settings.
pub(crate) struct OutageWatch {
    endpoint: EndpointName,
    rule: Mutex<Option<AutoRedrive>>,
    recoveries: watch::Sender<Recoveries>,
    last_success: AtomicI64,
    recovered_at: AtomicI64,
    /// The next success ends an outage.
    is_in_outage: AtomicBool,
}

impl OutageWatch {
    /// Creates the watch of an endpoint whose first success is a recovery: it may have been in
    /// an outage before this process started.
    pub(crate) fn new(endpoint: EndpointName, recoveries: watch::Sender<Recoveries>) -> Self {
        Self {
            endpoint,
            rule: Mutex::new(None),
            recoveries,
            last_success: AtomicI64::new(i64::MIN),
            recovered_at: AtomicI64::new(i64::MIN),
            is_in_outage: AtomicBool::new(true),
        }
    }

    /// Replaces the rule. It applies from the next recovery on.
    pub(crate) fn set_rule(&self, rule: Option<AutoRedrive>) {
        match rule {
            Some(_) => *self.rule() = rule,
            None => self.stop_redrives(),
        }
    }

    /// Forgets the rule, and the recovery whose letters are being redriven.
    pub(crate) fn stop_redrives(&self) {
        *self.rule() = None;
        self.forget_recovery();
    }

    /// Records the end of an attempt.
    pub(crate) fn record(
        &self,
        signal: HealthSignal,
        ended_at: UnixMillis,
        is_paused: impl FnOnce() -> bool,
    ) {
        if signal == HealthSignal::Success {
            self.last_success.store(ended_at.get(), Relaxed);
            if self.is_in_outage.load(Relaxed) && self.is_in_outage.swap(false, Relaxed) {
                self.recover(ended_at);
            }
        } else if signal.is_outage() && is_paused() {
            self.is_in_outage.store(true, Relaxed);
            self.forget_recovery();
        }
    }

    /// Records that the attempts of an event are exhausted, the last of which began at
    /// `started_at`. Without a success since the event was queued, or since that attempt began,
    /// its endpoint is in an outage, even if it has too few events for a pause.
    pub(crate) fn died(&self, signal: HealthSignal, queued_at: UnixMillis, started_at: UnixMillis) {
        let is_alone = self.last_success.load(Relaxed) < queued_at.get();
        let is_late = started_at.get() <= self.recovered_at.load(Relaxed);
        if signal.is_outage() && (is_alone || is_late) {
            self.is_in_outage.store(true, Relaxed);
        }
    }

    fn recover(&self, at: UnixMillis) {
        self.recovered_at.store(at.get(), Relaxed);
        if let Some(rule) = *self.rule() {
            let recovery = Recovery { at, rule };
            self.recoveries.send_modify(|recoveries| {
                recoveries.insert(self.endpoint.clone(), recovery);
            });
        }
    }

    fn forget_recovery(&self) {
        self.recoveries
            .send_if_modified(|recoveries| recoveries.remove(&self.endpoint).is_some());
    }

    fn rule(&self) -> MutexGuard<'_, Option<AutoRedrive>> {
        self.rule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wahook_domain::RedriveRate;

    struct Watched {
        watch: OutageWatch,
        recoveries: watch::Receiver<Recoveries>,
    }

    const fn at(seconds: i64) -> UnixMillis {
        UnixMillis::new(seconds * 1_000)
    }

    fn rule() -> AutoRedrive {
        AutoRedrive {
            period: "6h".parse().unwrap(),
            rate: RedriveRate::new(10).unwrap(),
        }
    }

    impl Watched {
        fn new() -> Self {
            let (sender, recoveries) = watch::channel(Recoveries::new());
            let watch = OutageWatch::new(EndpointName::default(), sender);
            watch.set_rule(Some(rule()));
            Self { watch, recoveries }
        }

        fn succeed(&self, seconds: i64) {
            self.watch
                .record(HealthSignal::Success, at(seconds), || false);
        }

        fn recovered_at(&self) -> Option<UnixMillis> {
            let recoveries = self.recoveries.borrow();
            recoveries
                .get(&EndpointName::default())
                .map(|recovery| recovery.at)
        }
    }

    #[test]
    fn first_success_and_that_after_a_pause_are_recoveries() {
        let watched = Watched::new();
        watched.succeed(1);
        watched.succeed(2);
        assert_eq!(watched.recovered_at(), Some(at(1)));
        watched.watch.record(HealthSignal::Failure, at(3), || false);
        watched.succeed(4);
        assert_eq!(watched.recovered_at(), Some(at(1)), "a single failure");
        watched.watch.record(HealthSignal::Refused, at(5), || true);
        assert_eq!(watched.recovered_at(), Some(at(1)), "a refusal");
        watched.watch.record(HealthSignal::Failure, at(6), || true);
        assert_eq!(watched.recovered_at(), None);
        watched.succeed(7);
        assert_eq!(watched.recovered_at(), Some(at(7)));
    }

    #[test]
    fn success_after_a_delivery_that_died_alone_is_a_recovery() {
        let watched = Watched::new();
        watched.succeed(1);
        for (signal, queued_at) in [
            (HealthSignal::Rejected, 2),
            (HealthSignal::Gone, 2),
            // The endpoint took another event meanwhile.
            (HealthSignal::Failure, 0),
        ] {
            watched.watch.died(signal, at(queued_at), at(3));
            watched.succeed(4);
            assert_eq!(watched.recovered_at(), Some(at(1)), "{signal:?}");
        }
        watched.watch.died(HealthSignal::Failure, at(5), at(6));
        watched.succeed(7);
        assert_eq!(watched.recovered_at(), Some(at(7)));
    }

    #[test]
    fn delivery_that_dies_by_an_attempt_of_the_outage_is_part_of_a_second_recovery() {
        let watched = Watched::new();
        watched.succeed(10);
        watched.watch.died(HealthSignal::Failure, at(1), at(9));
        watched.succeed(11);
        assert_eq!(watched.recovered_at(), Some(at(11)));
    }

    #[test]
    fn endpoint_without_a_rule_and_a_removed_one_have_no_recoveries() {
        let ends: [fn(&OutageWatch); 2] =
            [|watch| watch.set_rule(None), OutageWatch::stop_redrives];
        for end in ends {
            let watched = Watched::new();
            watched.succeed(1);
            assert_eq!(watched.recovered_at(), Some(at(1)));
            end(&watched.watch);
            assert_eq!(watched.recovered_at(), None);
            watched.watch.record(HealthSignal::Failure, at(2), || true);
            watched.succeed(3);
            assert_eq!(watched.recovered_at(), None);
            watched.watch.set_rule(Some(rule()));
            watched.watch.record(HealthSignal::Failure, at(4), || true);
            watched.succeed(5);
            assert_eq!(watched.recovered_at(), Some(at(5)), "added again");
        }
    }
}
