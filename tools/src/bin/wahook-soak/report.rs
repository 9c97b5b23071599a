//! Report of a run: its table for `docs/performance/soak.md`, and its faults.

use std::fmt::Write;

use crate::rules::Bound;
use crate::run::Run;
use crate::schedule::Disturbance;
use crate::verdict::Finding;

/// Returns what was not flat, and the faults of the outcome.
pub(crate) fn faults(run: &Run, findings: &[Finding]) -> Vec<String> {
    let bad = findings.iter().filter(|finding| !finding.is_good());
    let mut faults = run.outcome.faults();
    faults.extend(bad.map(Finding::to_string));
    faults
}

/// Returns the text about a run with its table. `machine` describes where it ran.
pub(crate) fn markdown(run: &Run, findings: &[Finding], machine: &str, note: &str) -> String {
    let outcome = &run.outcome;
    let [plain, ordered] = outcome.lost;
    let order = match outcome.inversions {
        [0, 0] => "kept".to_owned(),
        [attempts, successes] => format!("**broken** ({attempts} attempts, {successes} successes)"),
    };
    let half = run.capacity.map(|capacity| {
        format!(", half of the {capacity:.0} that the machine delivers to both endpoints")
    });
    let mut text = format!(
        "Run of {} minutes at {:.0} events/s{}, on {machine}, {}.{note}\n\n\
         | | |\n|---|---|\n\
         | accepted events, each for both endpoints | {} |\n\
         | lost at `plain`, at `ordered` | {plain}, {ordered} |\n\
         | order of each chat at `ordered` | {order} |\n\
         | repeated deliveries, of {} | {} |\n\
         | requests to the producer that were repeated | {} |\n\
         | events of the schedule that were not sent | {} |\n\
         | dead letters | {} |\n",
        run.minutes,
        run.rate,
        half.unwrap_or_default(),
        run.servers,
        outcome.accepted,
        2 * outcome.accepted,
        outcome.repeats,
        outcome.refused,
        outcome.skipped,
        outcome.dead_letters,
    );
    for kind in Disturbance::ALL {
        let count = run.spans.iter().filter(|span| span.kind == kind).count();
        let _infallible = writeln!(text, "| {} | {count} |", kind.noun());
    }
    text.push('\n');
    text.push_str(&table(findings));
    text
}

/// Returns a table with a row for each measure.
pub(crate) fn table(findings: &[Finding]) -> String {
    let mut text =
        "| measure | samples | first third | last third | trend | allowed | most | result |\n\
                    |---|---|---|---|---|---|---|---|\n"
            .to_owned();
    for finding in findings {
        let _infallible = writeln!(text, "{}", row(finding));
    }
    text
}

fn row(finding: &Finding) -> String {
    let rule = finding.rule;
    let digits = match rule.unit {
        "cores" => 2,
        "MiB" | "ms" => 1,
        _ => 0,
    };
    let value = |value: f64| format!("{value:.digits$}");
    let (allowed, result) = match rule.bound {
        Bound::Free => ("–".to_owned(), "–"),
        bound => {
            let sign = if matches!(bound, Bound::Fall { .. }) {
                '-'
            } else {
                '+'
            };
            let result = match (finding.is_enough(), finding.is_good()) {
                (false, _) => "**too few samples**",
                (true, true) => "flat",
                (true, false) => "**not flat**",
            };
            (format!("{sign}{}", value(finding.allowed)), result)
        }
    };
    let unit = match rule.unit {
        "" | "events" | "results" => String::new(),
        unit => format!(", {unit}"),
    };
    format!(
        "| {}{unit} | {} | {} | {} | {:+.digits$} | {allowed} | {} | {result} |",
        rule.what,
        finding.samples,
        value(finding.first),
        value(finding.last),
        finding.trend,
        value(finding.most),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::samples::Sample;
    use crate::schedule::Span;
    use crate::verdict::classify;

    fn run() -> Run {
        let sample = |n: u32| Sample {
            at: f64::from(n * 10),
            values: [
                ("consumer_mib", 30.0 + f64::from(n)),
                ("plain_p50_ms", 1.5),
                ("own_cpu", 0.5),
            ]
            .into(),
            ..Sample::default()
        };
        Run {
            minutes: 10,
            rate: 1_000.0,
            capacity: Some(2_000.0),
            servers: "RabbitMQ 4.3.6, MongoDB 6.0.5".to_owned(),
            samples: (1..=60).map(sample).collect(),
            spans: vec![Span {
                kind: Disturbance::Restart,
                begin: 62.0,
                end: Some(63.0),
            }],
            outcome: Outcome {
                accepted: 600_000,
                lost: [0, 1],
                ..Outcome::default()
            },
        }
    }

    #[test]
    fn report_has_the_counts_and_a_row_for_each_measure() {
        let run = run();
        let findings = classify(&run.samples, run.rate);
        let text = markdown(&run, &findings, "2 cores", " Alone on the machine.");
        for part in [
            "Run of 10 minutes at 1000 events/s, half of the 2000 that",
            "MongoDB 6.0.5. Alone on the machine.",
            "| lost at `plain`, at `ordered` | 0, 1 |",
            "| repeated deliveries, of 1200000 | 0 |",
            "| restarts of a consumer | 1 |",
            "| memory of the consumer, MiB | 50 | 48.0 | 82.0 | +49.0 | +4.8 | 90.0 | **not flat** |",
            "| latency p50, `plain`, ms | 50 | 1.5 | 1.5 | +0.0 | +1.0 | 1.5 | flat |",
            "| processors, all of the run, cores | 50 | 0.50 | 0.50 | +0.00 | – | 0.50 | – |",
            "| dead letters | 0 | 0 | 0 | +0 | +0 | 0 | **too few samples** |",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn faults_name_what_is_lost_and_what_is_not_flat() {
        let run = run();
        let faults = faults(&run, &classify(&run.samples, run.rate));
        assert_eq!(faults[0], "1 events lost at ordered");
        let is_named = |part: &str| faults.iter().any(|fault| fault.starts_with(part));
        assert!(is_named("memory of the consumer is not flat"), "{faults:?}");
        assert!(!is_named("latency p50, `plain`"), "{faults:?}");
    }
}
