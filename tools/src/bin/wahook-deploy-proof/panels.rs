//! Runs every query of every panel as Grafana sends it, for every choice of the variables.

use anyhow::Context;
use serde_json::{Value, json};

use crate::annotations;
use crate::checks::short;
use crate::dashboards::{Dashboard, Variables, text};
use crate::expectations::{self, Part};
use crate::findings::Findings;
use crate::prometheus::Prometheus;
use crate::series::Series;
use crate::story::Story;

pub(crate) async fn ask(
    dashboards: &[Dashboard],
    story: &Story,
    prometheus: &Prometheus,
) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    for dashboard in dashboards {
        let choices = dashboard.choices(prometheus).await?;
        let everything = &choices.first().context("no choice of variables")?.1;
        for panel in dashboard.panels() {
            let asked = Asked {
                dashboard,
                panel,
                variables: everything,
                story,
                prometheus,
            };
            check(&asked, &mut findings).await?;
            findings.pictures.push(picture(&asked).await?);
            for (name, variables) in &choices {
                for query in queries(panel) {
                    let query = variables.substitute(query, story.ended - story.began);
                    let answered = prometheus.instant(&query, story.ended).await;
                    answered.with_context(|| format!("{} with {name}", text(panel, "/title")))?;
                    findings.asked += 1;
                }
            }
        }
        let marks = annotations::check(dashboard, everything, story, prometheus).await?;
        findings.lines.extend(marks.lines);
        findings.faults.extend(marks.faults);
    }
    Ok(findings)
}

/// Panel, and what it is asked with.
struct Asked<'a> {
    dashboard: &'a Dashboard,
    panel: &'a Value,
    variables: &'a Variables,
    story: &'a Story,
    prometheus: &'a Prometheus,
}

async fn check(asked: &Asked<'_>, findings: &mut Findings) -> anyhow::Result<()> {
    let Asked {
        dashboard,
        panel,
        story,
        ..
    } = asked;
    let title = text(panel, "/title");
    let Some((part, check)) =
        expectations::of(&dashboard.name, title, &story.count, story.accepted)
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
    let answers = asked.evaluate(end).await?;
    for (query, answer) in queries(panel).zip(&answers) {
        // A query that filters out zeros may have no result.
        if answer.is_empty() && !query.ends_with("> 0") {
            findings
                .faults
                .push(format!("{title}: no data for {query}"));
        }
    }
    let mut held = check.holds(&answers, 1.0);
    if held.is_ok() && check.is_of_counters() {
        held = check.counters_hold(&asked.counters(end).await?);
    }
    let verdict = match held {
        Ok(()) => "ok".to_owned(),
        Err(fault) => {
            findings
                .faults
                .push(format!("{title}: {fault}, expected {}", check.says()));
            fault
        }
    };
    let value = summary(&answers, text(panel, "/type"));
    findings.lines.push([
        format!("{}/{title}", dashboard.name),
        value,
        check.says(),
        verdict,
    ]);
    Ok(())
}

async fn picture(asked: &Asked<'_>) -> anyhow::Result<Value> {
    let Asked {
        dashboard,
        panel,
        story,
        ..
    } = asked;
    let answers = asked.evaluate(story.ended).await?;
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
    let mut picture = Value::clone(panel);
    if let Some(picture) = picture.as_object_mut() {
        picture.remove("targets");
        picture.insert("dashboard".to_owned(), json!(dashboard.name));
        picture.insert("curves".to_owned(), json!(curves));
    }
    Ok(picture)
}

impl Asked<'_> {
    async fn evaluate(&self, end: f64) -> anyhow::Result<Vec<Vec<Series>>> {
        let instant = ["stat", "table"].contains(&text(self.panel, "/type"));
        let began = self.story.began;
        let mut answers = Vec::new();
        for query in queries(self.panel) {
            let query = self.variables.substitute(query, end - began);
            answers.push(if instant {
                self.prometheus.instant(&query, end).await?
            } else {
                self.prometheus.range(&query, began, end, 1).await?
            });
        }
        Ok(answers)
    }

    /// Returns the counters behind the panel at that time.
    async fn counters(&self, end: f64) -> anyhow::Result<Vec<Vec<Series>>> {
        let mut answers = Vec::new();
        for query in queries(self.panel) {
            let query = of_counters(query);
            let query = self.variables.substitute(&query, 0.0);
            answers.push(self.prometheus.instant(&query, end).await?);
        }
        Ok(answers)
    }
}

/// Returns the query without the functions that estimate an increase.
fn of_counters(query: &str) -> String {
    ["rate(", "increase("]
        .into_iter()
        .fold(query.to_owned(), |query, name| query.replace(name, "("))
        .replace("[$__rate_interval]", "")
        .replace("[$__range]", "")
}

fn queries(panel: &Value) -> impl Iterator<Item = &str> {
    let targets = panel.get("targets").and_then(Value::as_array);
    targets
        .into_iter()
        .flatten()
        .map(|target| text(target, "/expr"))
}

fn summary(answers: &[Vec<Series>], kind: &str) -> String {
    let all: Vec<f64> = answers.iter().flatten().flat_map(Series::values).collect();
    let lowest = all.iter().copied().reduce(f64::min).unwrap_or(f64::NAN);
    let highest = all.iter().copied().reduce(f64::max).unwrap_or(f64::NAN);
    if kind == "stat" {
        short(highest)
    } else if kind == "table" {
        let cells: Vec<String> = all.iter().copied().map(short).collect();
        cells.join(", ")
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
