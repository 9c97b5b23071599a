//! Counts of deliveries, as a table and as JSON.

use serde::Serialize;
use std::fmt;
use wahook_delivery_log::{CountBy, Counts};
use wahook_domain::UnixMillis;
use wahook_runtime::printable;

/// Counts by kind, and their total.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    since: String,
    until: String,
    by: &'static str,
    total: Row,
    rows: Vec<Row>,
}

/// Line of the table. Rates are from 0 to 1, and `None` if no delivery has ended.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    deliveries: u64,
    success: u64,
    failed: u64,
    retrying: u64,
    /// Share of the ended deliveries that succeeded.
    success_rate: Option<f64>,
    /// Share of the ended deliveries that succeeded at the first attempt.
    first_attempt_rate: Option<f64>,
    retries: u64,
}

impl Report {
    /// Sorts the kinds by deliveries, the largest first.
    pub(super) fn new(
        since: UnixMillis,
        until: UnixMillis,
        by: CountBy,
        mut counts: Vec<Counts>,
    ) -> Self {
        let deliveries = |counts: &Counts| counts.success + counts.failed + counts.retrying;
        counts.sort_by(|a, b| {
            let by_size = deliveries(b).cmp(&deliveries(a));
            by_size.then_with(|| a.kind.cmp(&b.kind))
        });
        let total = counts.iter().fold(Counts::default(), |sum, more| Counts {
            kind: String::new(),
            success: sum.success + more.success,
            failed: sum.failed + more.failed,
            retrying: sum.retrying + more.retrying,
            at_first_attempt: sum.at_first_attempt + more.at_first_attempt,
            retries: sum.retries + more.retries,
        });
        Self {
            since: since.to_iso8601(),
            until: until.to_iso8601(),
            by: by.as_str(),
            total: Row::from_counts(&total),
            rows: counts.iter().map(Row::from_counts).collect(),
        }
    }
}

impl Row {
    fn from_counts(counts: &Counts) -> Self {
        let ended = counts.success + counts.failed;
        Self {
            name: counts.kind.clone(),
            deliveries: ended + counts.retrying,
            success: counts.success,
            failed: counts.failed,
            retrying: counts.retrying,
            success_rate: rate(counts.success, ended),
            first_attempt_rate: rate(counts.at_first_attempt, ended),
            retries: counts.retries,
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "no count comes near 2^53, and a rate is shown with two digits"
)]
fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "accepted from {} to {}", self.since, self.until)?;
        writeln!(f)?;
        let heading = self.by.to_uppercase();
        writeln!(
            f,
            "{heading:<24}  {:>10}  {:>10}  {:>8}  {:>8}  {:>9}  {:>9}  {:>8}",
            "DELIVERIES", "SUCCESS", "FAILED", "RETRYING", "SUCCEEDED", "AT FIRST", "RETRIES"
        )?;
        for row in &self.rows {
            writeln!(f, "{}", row.line(&printable(&row.name)))?;
        }
        write!(f, "{}", self.total.line("all"))
    }
}

impl Row {
    fn line(&self, name: &str) -> String {
        format!(
            "{name:<24}  {:>10}  {:>10}  {:>8}  {:>8}  {:>9}  {:>9}  {:>8}",
            self.deliveries,
            self.success,
            self.failed,
            self.retrying,
            percent(self.success_rate),
            percent(self.first_attempt_rate),
            self.retries,
        )
    }
}

/// Formats a rate, rounded down: 100 % means that none failed.
fn percent(rate: Option<f64>) -> String {
    match rate {
        Some(rate) => format!("{:.2} %", (rate * 10_000.0).floor() / 100.0),
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let counts = |kind: &str, success, failed, retrying, at_first_attempt, retries| Counts {
            kind: kind.to_owned(),
            success,
            failed,
            retrying,
            at_first_attempt,
            retries,
        };
        let all = vec![
            counts("call", 0, 0, 2, 0, 3),
            counts("message_create", 29_999, 1, 0, 29_000, 1_500),
        ];
        Report::new(UnixMillis::new(0), UnixMillis::new(1), CountBy::Event, all)
    }

    #[test]
    fn table_has_the_largest_kind_first_and_the_total_last() {
        let text = report().to_string();
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "EVENT                     DELIVERIES     SUCCESS    FAILED  RETRYING  SUCCEEDED   AT FIRST   RETRIES",
                "message_create                 30000       29999         1         0    99.99 %    96.66 %      1500",
                "call                               2           0         0         2          -          -         3",
                "all                            30002       29999         1         2    99.99 %    96.66 %      1503",
            ]
        );
    }

    #[test]
    fn json_rates_are_fractions_and_null_if_no_delivery_has_ended() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["total"]["successRate"], 29_999.0 / 30_000.0);
        assert_eq!(json["rows"][1]["name"], "call");
        assert_eq!(json["rows"][1]["successRate"], serde_json::Value::Null);
    }

    #[test]
    fn rate_is_a_hundred_percent_only_if_none_failed() {
        assert_eq!(percent(rate(999_999, 1_000_000)), "99.99 %");
        assert_eq!(percent(rate(1, 1)), "100.00 %");
    }
}
