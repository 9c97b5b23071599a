//! Ratios of the rates of two scenarios.

use wahook_tests::statistics::median;

use crate::lab::Subject;
use crate::row::Row;

/// Two scenarios whose rates are compared.
pub(crate) struct Comparison {
    what: &'static str,
    this: &'static str,
    to: &'static str,
}

pub(crate) const COMPARISONS: [Comparison; 9] = [
    Comparison {
        what: "batches to single events",
        this: "ingest-batch",
        to: "ingest",
    },
    Comparison {
        what: "50 ms webhook to instant webhook, 2,048 in flight",
        this: "drain-50ms",
        to: "drain-wide",
    },
    Comparison {
        what: "2 consumers to 1",
        this: "drain-2",
        to: "drain",
    },
    Comparison {
        what: "4 consumers to 1",
        this: "drain-4",
        to: "drain",
    },
    Comparison {
        what: "order per chat to no order, end to end",
        this: "ordered",
        to: "end-to-end",
    },
    Comparison {
        what: "4 lanes to one queue, end to end",
        this: "lanes",
        to: "end-to-end",
    },
    Comparison {
        what: "4 lanes to one queue, drain",
        this: "lanes-drain",
        to: "drain",
    },
    Comparison {
        what: "with the search index to without, end to end",
        this: "end-to-end",
        to: "unindexed",
    },
    Comparison {
        what: "with the search index to without, single process",
        this: "one-process",
        to: "one-process-unindexed",
    },
];

impl Comparison {
    /// Returns the ratios of the median rates.
    pub(crate) fn cells(&self, rows: &[Row]) -> [String; 3] {
        let ratio = |subject| {
            let rate = |name| {
                let row = rows.iter().find(|row| row.scenario.name == name)?;
                median(&row.values(subject, |figures| figures.per_second))
            };
            let ratio = rate(self.this)? / rate(self.to)?;
            Some(format!("{ratio:.2}"))
        };
        let cell = |subject| ratio(subject).unwrap_or_else(|| "–".to_owned());
        [
            self.what.to_owned(),
            cell(Subject::Wahook),
            cell(Subject::Floor),
        ]
    }
}
