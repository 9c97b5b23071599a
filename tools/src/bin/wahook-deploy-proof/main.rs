//! `wahook-deploy-proof`: tests the alerts and dashboards of `deploy/` with real RabbitMQ, MongoDB
//! and Prometheus servers and a running producer and consumers. `make test-deploy` runs it.

mod annotations;
mod chapters;
mod checks;
mod dashboards;
mod expectations;
mod findings;
mod gateway;
mod links;
mod lint;
mod major;
mod observers;
mod panels;
mod programs;
mod prometheus;
mod promtool;
mod scale;
mod series;
mod stage;
mod story;
mod watch;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::Parser;
use serde_json::{Value, json};

use chapters::EXPECTED;
use dashboards::Dashboard;
use series::Firing;

/// Runs producer and consumers under a scripted load with faults, scraped by a real Prometheus.
/// Checks every dashboard panel and makes every alert fire.
#[derive(Debug, Parser)]
#[command(name = "wahook-deploy-proof", version)]
struct Arguments {
    /// File for the panel data, from which the picture is drawn
    #[arg(long, default_value = "target/deploy-proof.json")]
    data: PathBuf,
    /// Run only the checks that need no servers
    #[arg(long)]
    lint: bool,
}

fn main() -> ExitCode {
    match prove(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wahook-deploy-proof: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn prove(arguments: &Arguments) -> anyhow::Result<()> {
    let deploy = wahook_tests::workspace().join("deploy");
    let dashboards = Dashboard::all(&deploy.join("grafana/dashboards"))?;
    let faults = lint::faults(&dashboards);
    ensure!(faults.is_empty(), "dashboards:\n  {}", faults.join("\n  "));
    let panels: usize = dashboards
        .iter()
        .map(|dashboard| dashboard.panels().count())
        .sum();
    println!(
        "{} dashboards with {panels} panels comply with the rules",
        dashboards.len()
    );
    every_alert_is_expected(&deploy.join("prometheus/rules/alerts.yml"))?;
    if arguments.lint {
        return Ok(());
    }

    let story = story::tell(&deploy.join("prometheus")).await?;
    let (mut faults, mut pictures, mut queries) = (Vec::new(), Vec::new(), 0);
    for (prometheus, first) in story.observers.iter().zip(story.watch.first()) {
        let name = prometheus.name();
        let findings = panels::ask(&dashboards, &story, prometheus).await?;
        table([name, "value", "expected", ""], &findings.lines);
        let mut found = findings.faults;
        let alerts = alerts(first, &mut found);
        table([name, "subject", "fired during", "after"], &alerts);
        faults.extend(found.iter().map(|fault| format!("{name}: {fault}")));
        pictures = findings.pictures;
        queries += findings.asked;
    }
    let links = links::follow(&dashboards, &story).await?;
    println!("{links} different links of panels and alerts lead to the right page of the console");
    let data = json!({
        "seconds": story.ended - story.began,
        "chapters": story.watch.chapters(story.began),
        "titles": of_each(&dashboards, |dashboard| dashboard.json.get("title").cloned()),
        "headlines": of_each(&dashboards, |dashboard| Some(dashboard.headlines())),
        "panels": pictures,
    });
    fs::write(&arguments.data, data.to_string())?;
    ensure!(
        faults.is_empty(),
        "{} faults:\n  {}",
        faults.len(),
        faults.join("\n  ")
    );
    println!(
        "{panels} panels are correct with each Prometheus ({queries} more queries with each variable value selected on its own), {} alerts fired for their fault only",
        EXPECTED.len()
    );
    Ok(())
}

fn of_each(dashboards: &[Dashboard], what: impl Fn(&Dashboard) -> Option<Value>) -> Value {
    let pairs = dashboards
        .iter()
        .map(|dashboard| (dashboard.name.clone(), what(dashboard)));
    pairs
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect()
}

/// Fails if the scenario does not cover every alert: an alert that never fires is untested.
fn every_alert_is_expected(rules: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(rules)?;
    let named = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- alert: "));
    let named: BTreeSet<&str> = named.collect();
    let expected: BTreeSet<&str> = EXPECTED.iter().map(|(name, ..)| *name).collect();
    ensure!(
        named == expected,
        "alerts.yml has {named:?}, the scenario expects {expected:?}"
    );
    Ok(())
}

/// Table of the alerts that fired. Missing, unexpected and wrongly timed alerts are faults.
fn alerts(
    first: BTreeMap<Firing, (&'static str, Duration)>,
    faults: &mut Vec<String>,
) -> Vec<[String; 4]> {
    for (name, about, chapter) in EXPECTED {
        let alert = Firing::of(name, about);
        if first
            .get(&alert)
            .is_none_or(|(fired_in, _)| *fired_in != chapter)
        {
            faults.push(format!("{alert:?} did not fire during: {chapter}"));
        }
    }
    let line = |(alert, (chapter, after)): (Firing, (&str, Duration))| {
        let is_expected = |(name, about, _): &(&str, &str, &str)| Firing::of(name, about) == alert;
        if !EXPECTED.iter().any(is_expected) {
            faults.push(format!("{alert:?} fired unexpectedly during: {chapter}"));
        }
        let after = format!("{:.0} s", after.as_secs_f64());
        [alert.name, alert.about, chapter.to_owned(), after]
    };
    first.into_iter().map(line).collect()
}

fn table(head: [&str; 4], lines: &[[String; 4]]) {
    let head = head.map(str::to_owned);
    let width = |column: usize| {
        let cells = lines
            .iter()
            .chain([&head])
            .filter_map(|line| line.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let (a, b, c) = (width(0), width(1), width(2));
    println!();
    for [first, second, third, fourth] in [&head].into_iter().chain(lines) {
        println!("{first:a$}  {second:b$}  {third:c$}  {fourth}");
    }
    println!();
}
