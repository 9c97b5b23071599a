//! Records in which chapter of the scenario each alert fires first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::prometheus::{Firing, Prometheus, now};

const ASKED_EVERY: Duration = Duration::from_millis(250);

/// Polls Prometheus for firing alerts.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    chapter: &'static str,
    began: Option<Instant>,
    chapters: Vec<(&'static str, f64)>,
    first: BTreeMap<Firing, (&'static str, Duration)>,
    now: BTreeSet<Firing>,
}

impl Watch {
    pub(crate) fn start(prometheus: Arc<Prometheus>) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    if let Ok(firing) = prometheus.firing().await {
                        lock(&seen).note(firing);
                    }
                    sleep(ASKED_EVERY).await;
                }
            }
        });
        Self { seen, task }
    }

    /// Starts a chapter: alerts that fire from now on belong to it.
    pub(crate) fn chapter(&self, name: &'static str) {
        let mut seen = lock(&self.seen);
        seen.chapter = name;
        seen.began = Some(Instant::now());
        seen.chapters.push((name, now()));
        println!("-- {name}");
    }

    /// Returns the chapters with their start in seconds since `began`.
    pub(crate) fn chapters(&self, began: f64) -> Value {
        let seen = lock(&self.seen);
        let chapters = seen
            .chapters
            .iter()
            .map(|(name, at)| json!({"name": name, "at": at - began}));
        chapters.collect()
    }

    /// Returns each alert that fired, with its first chapter and the time since that chapter began.
    pub(crate) fn first(&self) -> BTreeMap<Firing, (&'static str, Duration)> {
        lock(&self.seen).first.clone()
    }

    /// Waits until all `alerts` have fired.
    pub(crate) async fn fired(&self, alerts: &[Firing], within: Duration) -> anyhow::Result<()> {
        let fired = |seen: &Seen, alert: &Firing| seen.first.contains_key(alert);
        self.until(within, "fired", alerts, fired).await
    }

    /// Waits until none of `alerts` fires.
    pub(crate) async fn ended(&self, alerts: &[Firing], within: Duration) -> anyhow::Result<()> {
        let ended = |seen: &Seen, alert: &Firing| !seen.now.contains(alert);
        self.until(within, "ended", alerts, ended).await
    }

    async fn until(
        &self,
        within: Duration,
        what: &str,
        alerts: &[Firing],
        is_so: impl Fn(&Seen, &Firing) -> bool,
    ) -> anyhow::Result<()> {
        let end = Instant::now() + within;
        loop {
            let missing: Vec<Firing> = {
                let seen = lock(&self.seen);
                let missing = alerts.iter().filter(|alert| !is_so(&seen, alert));
                missing.cloned().collect()
            };
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("not within {within:?}: {what} {missing:?}");
            }
            sleep(ASKED_EVERY).await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn note(&mut self, firing: Vec<Firing>) {
        let after = self.began.map(|began| began.elapsed()).unwrap_or_default();
        let chapter = self.chapter;
        for alert in &firing {
            self.first.entry(alert.clone()).or_insert((chapter, after));
        }
        self.now = firing.into_iter().collect();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
