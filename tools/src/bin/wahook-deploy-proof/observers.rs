//! Prometheus in each version, which watch the same programs.

use std::path::Path;
use std::sync::Arc;

use anyhow::ensure;
use wahook_tests::eventually::eventually;

use crate::chapters::SOON;
use crate::major::Major;
use crate::prometheus::Prometheus;
use crate::series::now;
use crate::webhook::Count;

/// Starts one of each version with these addresses of jobs, and waits until it has scraped them.
pub(crate) async fn start(
    deploy: &Path,
    targets: &[(&str, &[String])],
) -> anyhow::Result<Vec<Arc<Prometheus>>> {
    let mut observers = Vec::new();
    for major in Major::ALL {
        let prometheus = Prometheus::start(major, deploy).await?;
        for (job, addresses) in targets {
            prometheus.set_targets(job, addresses)?;
        }
        observers.push(Arc::new(prometheus));
    }
    for prometheus in &observers {
        scraped(prometheus).await?;
    }
    Ok(observers)
}

/// Waits until every target is scraped and every rule is evaluated, so that the scenario starts
/// from a known state.
async fn scraped(prometheus: &Prometheus) -> anyhow::Result<()> {
    eventually(SOON, "five targets are up", || async {
        let up = value(prometheus, "sum(up{job!=\"prometheus\"})").await?;
        (up > 4.5).then_some(())
    })
    .await;
    eventually(SOON, "no alert of the start fires", || async {
        prometheus.firing().await.ok().filter(Vec::is_empty)
    })
    .await;
    let faults = prometheus.rule_faults().await?;
    ensure!(
        faults.is_empty(),
        "rules that can't be evaluated: {faults:?}"
    );
    Ok(())
}

/// Waits until it has scraped the end of every delivery and every dead letter.
pub(crate) async fn counted(prometheus: &Prometheus, count: &Count) {
    let wanted = [
        ("sum(wahook_deliveries_total)", count.delivered + count.dead),
        (
            "max(rabbitmq_detailed_queue_messages{queue=\"wahook.dead\"})",
            count.dead,
        ),
    ];
    for (query, wanted) in wanted {
        eventually(SOON, query, || async {
            let is = value(prometheus, query).await?;
            ((is - wanted).abs() < 0.5).then_some(())
        })
        .await;
    }
}

async fn value(prometheus: &Prometheus, query: &str) -> Option<f64> {
    let answer = prometheus.instant(query, now()).await.ok()?;
    Some(answer.first()?.values().sum())
}
