//! Checks that the annotations mark what happened in the scenario, and nothing else.

use crate::chapters::DOWN;
use crate::dashboards::{Dashboard, Variables, text};
use crate::findings::Findings;
use crate::prometheus::Prometheus;
use crate::series::Series;
use crate::story::Story;

pub(crate) async fn check(
    dashboard: &Dashboard,
    variables: &Variables,
    story: &Story,
    prometheus: &Prometheus,
) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    for annotation in dashboard.annotations() {
        let query = variables.substitute(text(annotation, "/expr"), 0.0);
        let (from, to) = (story.began, story.ended);
        let series = prometheus.range(&query, from, to, 1).await?;
        let title = text(annotation, "/name");
        let (value, wanted, is_right) = match title {
            "Deploys and broker restarts" => restarts(&series),
            "Pauses" => pauses(&series, story),
            "Reloads" => reloads(&series),
            _ => ("no check".to_owned(), "a check", false),
        };
        if !is_right {
            findings.faults.push(format!("{title}: {value}"));
        }
        let verdict = if is_right { "ok" } else { "wrong" };
        let name = format!("{}/{title}", dashboard.name);
        let line = [name, value, wanted.to_owned(), verdict.to_owned()];
        findings.lines.push(line);
    }
    Ok(findings)
}

/// Checks that every program start is annotated, including the consumers that replace killed ones.
fn restarts(series: &[Series]) -> (String, &'static str, bool) {
    let count = |job: &str| {
        let of_job = series.iter().filter(|series| series.label("job") == job);
        of_job.map(starts).sum::<usize>()
    };
    let programs = (count("wahook-producer"), count("wahook-consumer"));
    let found = (programs.0, programs.1, count("rabbitmq"));
    let value = format!("{found:?} starts of producer, consumer, broker");
    (value, "1, 6, 2", found == (1, 6, 2))
}

/// Returns the number of different times in a series; times within 10 s count as one.
fn starts(series: &Series) -> usize {
    let mut times: Vec<f64> = series.values().collect();
    times.sort_by(f64::total_cmp);
    times.dedup_by(|later, earlier| *later - *earlier < 10_000.0);
    times.len()
}

/// Checks that the endpoint is marked as paused, only while the webhook was down.
fn pauses(series: &[Series], story: &Story) -> (String, &'static str, bool) {
    let began = story.watch.began(DOWN).unwrap_or(f64::INFINITY);
    let points = || series.iter().flat_map(|series| &series.points);
    let is_right = points().count() > 0
        && points().all(|(at, _)| *at >= began)
        && series
            .iter()
            .all(|series| series.label("endpoint") == "default");
    let value = format!("{} s of pauses", points().count());
    (value, "only while the webhook is down", is_right)
}

/// Checks that the reload of both consumers is marked.
fn reloads(series: &[Series]) -> (String, &'static str, bool) {
    let applied = series.iter().filter(|of| of.label("result") == "applied");
    let applied = applied.count();
    let value = format!("{applied} of {} series are applied reloads", series.len());
    (value, "2 of 2", (applied, series.len()) == (2, 2))
}
