//! Records in which chapter of the scenario each alert fires first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::prometheus::Prometheus;
use crate::series::{Firing, now};

const ASKED_EVERY: Duration = Duration::from_millis(250);

/// Polls each Prometheus for firing alerts.
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
    /// For each Prometheus.
    alerts: Vec<Alerts>,
}

#[derive(Debug, Clone, Default)]
struct Alerts {
    first: BTreeMap<Firing, (&'static str, Duration)>,
    now: BTreeSet<Firing>,
}

impl Watch {
    pub(crate) fn start(observers: Vec<Arc<Prometheus>>) -> Self {
        let seen = Arc::new(Mutex::new(Seen {
            alerts: vec![Alerts::default(); observers.len()],
            ..Seen::default()
        }));
        let task = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                loop {
                    for (index, prometheus) in observers.iter().enumerate() {
                        if let Ok(firing) = prometheus.firing().await {
                            lock(&seen).note(index, firing);
                        }
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

    /// Returns the time when a chapter began.
    pub(crate) fn began(&self, name: &str) -> Option<f64> {
        let seen = lock(&self.seen);
        let mut chapters = seen.chapters.iter();
        chapters.find(|(of, _)| *of == name).map(|(_, at)| *at)
    }

    /// Returns for each Prometheus the alerts that fired, with their first chapter and the time since that chapter
    /// began.
    pub(crate) fn first(&self) -> Vec<BTreeMap<Firing, (&'static str, Duration)>> {
        let seen = lock(&self.seen);
        seen.alerts
            .iter()
            .map(|alerts| alerts.first.clone())
            .collect()
    }

    /// Waits until all `alerts` have fired at each Prometheus.
    pub(crate) async fn fired(&self, alerts: &[Firing], within: Duration) -> anyhow::Result<()> {
        let fired = |seen: &Seen, alert: &Firing| {
            let mut observers = seen.alerts.iter();
            observers.all(|of| of.first.contains_key(alert))
        };
        self.until(within, "fired", alerts, fired).await
    }

    /// Waits until none of `alerts` fires at any Prometheus.
    pub(crate) async fn ended(&self, alerts: &[Firing], within: Duration) -> anyhow::Result<()> {
        let ended = |seen: &Seen, alert: &Firing| {
            let mut observers = seen.alerts.iter();
            observers.all(|of| !of.now.contains(alert))
        };
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
    fn note(&mut self, observer: usize, firing: Vec<Firing>) {
        let after = self.began.map(|began| began.elapsed()).unwrap_or_default();
        let chapter = self.chapter;
        if let Some(alerts) = self.alerts.get_mut(observer) {
            for alert in &firing {
                let first = alerts.first.entry(alert.clone());
                first.or_insert((chapter, after));
            }
            alerts.now = firing.into_iter().collect();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
