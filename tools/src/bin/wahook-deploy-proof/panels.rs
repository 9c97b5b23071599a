//! Runs every query of every panel as Grafana sends it, for every choice of the variables.

use anyhow::Context;
use serde_json::{Value, json};

use crate::checks::{self, Part, short};
use crate::dashboards::{Dashboard, Variables, text};
use crate::prometheus::Series;
use crate::story::Story;

/// Results of all panels.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) lines: Vec<[String; 4]>,
    pub(crate) faults: Vec<String>,
    /// Data for the picture: each panel with its series over the whole scenario.
    pub(crate) pictures: Vec<Value>,
    pub(crate) asked: usize,
}

pub(crate) async fn ask(dashboards: &[Dashboard], story: &Story) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    for dashboard in dashboards {
        let choices = dashboard.choices(&story.prometheus).await?;
        let everything = &choices.first().context("no choice of variables")?.1;
        for panel in dashboard.panels() {
            check(dashboard, panel, everything, story, &mut findings).await?;
            picture(dashboard, panel, everything, story, &mut findings).await?;
            for (name, variables) in &choices {
                for query in queries(panel) {
                    let query = variables.substitute(query, story.ended - story.began);
                    let answered = story.prometheus.instant(&query, story.ended).await;
                    answered.with_context(|| format!("{} with {name}", text(panel, "/title")))?;
                    findings.asked += 1;
                }
            }
        }
        annotations(dashboard, everything, story, &mut findings).await?;
    }
    Ok(findings)
}

async fn check(
    dashboard: &Dashboard,
    panel: &Value,
    variables: &Variables,
    story: &Story,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let title = text(panel, "/title");
    let Some((part, check)) = checks::of(&dashboard.name, title, &story.count, story.accepted)
    else {
        findings
            .faults
            .push(format!("{title}: no check for this panel"));
        return Ok(());
    };
    let end = match part {
        Part::Settled => story.settled,
        Part::Whole => story.ended,
    };
    let answers = evaluate(panel, variables, story, end).await?;
    for (query, answer) in queries(panel).zip(&answers) {
        // A query that filters out zeros may have no result.
        if answer.is_empty() && !query.ends_with("> 0") {
            findings
                .faults
                .push(format!("{title}: no data for {query}"));
        }
    }
    let verdict = match check.holds(&answers, 1.0) {
        Ok(()) => "ok".to_owned(),
        Err(fault) => {
            findings
                .faults
                .push(format!("{title}: {fault}, expected {}", check.says()));
            fault
        }
    };
    let value = summary(&answers, text(panel, "/type") == "stat");
    findings.lines.push([
        format!("{}/{title}", dashboard.name),
        value,
        check.says(),
        verdict,
    ]);
    Ok(())
}

async fn picture(
    dashboard: &Dashboard,
    panel: &Value,
    variables: &Variables,
    story: &Story,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let answers = evaluate(panel, variables, story, story.ended).await?;
    let templates = panel
        .get("targets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let curves = templates.zip(&answers).flat_map(|(target, answer)| {
        answer.iter().map(|series| {
            let points: Vec<Value> = series
                .points
                .iter()
                .map(|(at, value)| json!([at - story.began, finite(*value)]))
                .collect();
            json!({"legend": legend(text(target, "/legendFormat"), series), "points": points})
        })
    });
    let curves: Vec<Value> = curves.collect();
    let mut picture = panel.clone();
    if let Some(picture) = picture.as_object_mut() {
        picture.remove("targets");
        picture.insert("dashboard".to_owned(), json!(dashboard.name));
        picture.insert("curves".to_owned(), json!(curves));
    }
    findings.pictures.push(picture);
    Ok(())
}

async fn evaluate(
    panel: &Value,
    variables: &Variables,
    story: &Story,
    end: f64,
) -> anyhow::Result<Vec<Vec<Series>>> {
    let instant = text(panel, "/type") == "stat";
    let mut answers = Vec::new();
    for query in queries(panel) {
        let query = variables.substitute(query, end - story.began);
        answers.push(if instant {
            story.prometheus.instant(&query, end).await?
        } else {
            story.prometheus.range(&query, story.began, end, 1).await?
        });
    }
    Ok(answers)
}

/// Checks that every program start is annotated, including the consumers that replace killed ones.
async fn annotations(
    dashboard: &Dashboard,
    variables: &Variables,
    story: &Story,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let list = dashboard
        .json
        .pointer("/annotations/list")
        .and_then(Value::as_array);
    for annotation in list.into_iter().flatten() {
        let query = variables.substitute(text(annotation, "/expr"), 0.0);
        let series = story
            .prometheus
            .range(&query, story.began, story.ended, 1)
            .await?;
        let count = |job: &str| {
            let of_job = series.iter().filter(|series| series.label("job") == job);
            of_job.map(starts).sum::<usize>()
        };
        let found = (
            count("wahook-producer"),
            count("wahook-consumer"),
            count("rabbitmq"),
        );
        let value = format!("{found:?} starts of producer, consumer, broker");
        let title = text(annotation, "/name");
        let verdict = if found == (1, 6, 2) { "ok" } else { "wrong" };
        if verdict != "ok" {
            findings.faults.push(format!("{title}: {value}"));
        }
        let wanted = "1, 6, 2".to_owned();
        findings.lines.push([
            format!("{}/{title}", dashboard.name),
            value,
            wanted,
            verdict.to_owned(),
        ]);
    }
    Ok(())
}

/// Returns the number of different times in a series; times within 10 s count as one.
fn starts(series: &Series) -> usize {
    let mut times: Vec<f64> = series.values().collect();
    times.sort_by(f64::total_cmp);
    times.dedup_by(|later, earlier| *later - *earlier < 10_000.0);
    times.len()
}

fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel.get("targets").and_then(Value::as_array);
    targets
        .into_iter()
        .flatten()
        .map(|target| text(target, "/expr"))
}

fn summary(answers: &[Vec<Series>], is_stat: bool) -> String {
    let all: Vec<f64> = answers.iter().flatten().flat_map(Series::values).collect();
    let lowest = all.iter().copied().reduce(f64::min).unwrap_or(f64::NAN);
    let highest = all.iter().copied().reduce(f64::max).unwrap_or(f64::NAN);
    if is_stat {
        short(highest)
    } else {
        let curves = answers.iter().flatten().count();
        format!("{} to {} ({curves} curves)", short(lowest), short(highest))
    }
}

fn legend(template: &str, series: &Series) -> String {
    let mut out = String::new();
    for part in template.split("{{") {
        match part.split_once("}}") {
            Some((label, rest)) => out = out + series.label(label) + rest,
            None => out += part,
        }
    }
    out
}

fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}
