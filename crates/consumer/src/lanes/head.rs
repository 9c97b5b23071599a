//! Run of a head, the first event of its key: at most one attempt.

use std::{
    mem,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wahook_domain::{OrderKey, QueuedEvent, Resume};
use wahook_failpoint::{self as failpoint, Failpoint};
use wahook_queue::Receipt;
use wahook_runtime::{clock, metrics::InFlightGuard};

use super::{
    lease::Lease,
    panics::{MOST_PANICS, Panics},
};
use crate::{
    admission::ProbeTurn,
    deliverer::{AttemptKind, Deliverer, log_ack_failure},
};

/// Event whose next attempt may start.
pub(super) struct Head {
    pub(super) event: QueuedEvent,
    pub(super) receipt: Receipt,
    /// True if the event was delivered to an owner before; the log knows its attempts.
    pub(super) is_repeat: bool,
    /// Start of its first attempt by this owner.
    pub(super) began: Arc<OnceLock<Instant>>,
}

/// End of a head's run.
pub(super) enum HeadEnd {
    /// The event is delivered or dead-lettered, and its message acknowledged.
    Settled,
    /// The next attempt follows after this time.
    Later(Box<Head>, Duration),
    /// The lane is given up, and no attempt was made.
    Stopped,
    /// The run panicked.
    Lost,
}

/// Starts the runs of a lane's heads.
pub(super) struct Runner {
    pub(super) endpoint: watch::Receiver<Arc<Deliverer>>,
    pub(super) lease: Arc<Lease>,
    /// Runs outlive the owner once their attempt has begun.
    pub(super) deliveries: TaskTracker,
    /// Ends the runs that have not begun their attempt.
    pub(super) stop: CancellationToken,
    pub(super) look_ups: Arc<Semaphore>,
    pub(super) panics: Arc<Panics>,
    pub(super) ends: mpsc::UnboundedSender<(OrderKey, HeadEnd)>,
}

impl Runner {
    pub(super) fn start(&self, key: OrderKey, head: Head) {
        let run = Run {
            endpoint: self.endpoint.clone(),
            lease: Arc::clone(&self.lease),
            stop: self.stop.clone(),
            look_ups: Arc::clone(&self.look_ups),
            panics: Arc::clone(&self.panics),
        };
        let report = Report {
            key,
            end: HeadEnd::Lost,
            ends: self.ends.clone(),
        };
        self.deliveries.spawn(Box::pin(async move {
            let mut report = report;
            report.end = run.deliver(head).await;
        }));
    }
}

/// Reports the end of a run when it is dropped, so also after a panic.
struct Report {
    key: OrderKey,
    end: HeadEnd,
    ends: mpsc::UnboundedSender<(OrderKey, HeadEnd)>,
}

impl Drop for Report {
    fn drop(&mut self) {
        let end = mem::replace(&mut self.end, HeadEnd::Lost);
        // Fails if the lane is given up meanwhile.
        let _ = self.ends.send((self.key.clone(), end));
    }
}

struct Run {
    endpoint: watch::Receiver<Arc<Deliverer>>,
    lease: Arc<Lease>,
    stop: CancellationToken,
    look_ups: Arc<Semaphore>,
    panics: Arc<Panics>,
}

/// Permission to start an attempt.
struct Admitted {
    permit: OwnedSemaphorePermit,
    kind: AttemptKind,
    /// Held until the probe is assessed, so that there is one at a time.
    _turn: Option<ProbeTurn>,
}

impl Run {
    async fn deliver(&self, mut head: Head) -> HeadEnd {
        if mem::take(&mut head.is_repeat) {
            let endpoint = self.current();
            let look_up = self.look_ups.acquire().await;
            let resume = endpoint.resume(&head.event).await;
            drop(look_up);
            match resume {
                Resume::Untried => {
                    let receipt = endpoint.pass_filter(&head.event, head.receipt).await;
                    let Some(receipt) = receipt else {
                        return HeadEnd::Settled;
                    };
                    head.receipt = receipt;
                }
                Resume::Ended => {
                    log_ack_failure(head.receipt.ack().await);
                    return HeadEnd::Settled;
                }
                Resume::Next { event, due, wait } => {
                    head.event = *event;
                    // Clocks of several machines may differ.
                    let left = due.since(clock::now()).min(wait);
                    if !left.is_zero() {
                        return HeadEnd::Later(Box::new(head), left);
                    }
                }
            }
        }
        let admitted = tokio::select! {
            biased;
            () = self.stop.cancelled() => return HeadEnd::Stopped,
            reason = self.ended_early(&head.event) => {
                self.current().dead_letter_unattempted(&head.event, &reason).await;
                log_ack_failure(head.receipt.ack().await);
                return HeadEnd::Settled;
            }
            Some(admitted) = self.admit() => admitted,
        };
        let Admitted {
            permit,
            kind,
            _turn,
        } = admitted;
        head.began.get_or_init(Instant::now);
        // The settings may have changed while the head waited.
        let endpoint = self.current();
        let in_flight = InFlightGuard::new(&endpoint.metrics.in_flight);
        let attempted = endpoint.attempt(&mut head.event).await;
        let ended = Instant::now();
        failpoint::pass(Failpoint::Posted);
        drop((in_flight, permit));
        match endpoint
            .conclude_in_lane(&head.event, attempted, kind)
            .await
        {
            None => {
                log_ack_failure(head.receipt.ack().await);
                HeadEnd::Settled
            }
            Some((event, wait)) => {
                head.event = event;
                HeadEnd::Later(Box::new(head), wait.saturating_sub(ended.elapsed()))
            }
        }
    }

    /// Waits until the event must end without a further attempt, and returns the reason.
    async fn ended_early(&self, event: &QueuedEvent) -> String {
        let endpoint = self.current();
        if self.panics.are_too_many(&event.id) {
            self.lease.valid().await;
            endpoint.totals.poison_messages.inc();
            return format!("poison: its delivery panicked {MOST_PANICS} times");
        }
        let by = endpoint.admission.given_up(event).await;
        self.lease.valid().await;
        format!("given up by an operator ({by})")
    }

    /// Waits until an attempt may start; while the endpoint is paused, as its probe.
    async fn admit(&self) -> Option<Admitted> {
        let admission = Arc::clone(&self.current().admission);
        loop {
            if admission.is_paused_by_operator() {
                admission.until_resumed_by_operator().await;
            }
            if admission.is_paused() {
                let turn = tokio::select! {
                    turn = admission.probe_turn() => turn,
                    () = admission.until_not_probed() => continue,
                };
                let permit = admission.permit().await?;
                self.lease.valid().await;
                if admission.is_paused_by_operator() {
                    continue;
                }
                return Some(Admitted {
                    permit,
                    kind: AttemptKind::Probe,
                    _turn: Some(turn),
                });
            }
            let permit = tokio::select! {
                permit = admission.permit() => permit?,
                () = admission.until_paused() => continue,
            };
            let Some(started) = admission.start().await else {
                continue;
            };
            self.lease.valid().await;
            if admission.is_paused() {
                continue;
            }
            return Some(Admitted {
                permit,
                kind: AttemptKind::Delivery(started),
                _turn: None,
            });
        }
    }

    fn current(&self) -> Arc<Deliverer> {
        Arc::clone(&self.endpoint.borrow())
    }
}
