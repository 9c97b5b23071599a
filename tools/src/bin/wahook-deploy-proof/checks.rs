//! Conditions on the values of a panel.

use crate::series::Series;

/// Share by which the area below a curve may differ from its counter. The curve is an estimate:
/// `rate` loses what a late scrape leaves out.
const AREA_SHARE: f64 = 0.25;

/// Share by which a number may differ from its counter: `increase` estimates what happened between
/// the last scrape and the end of the range.
const TOTAL_SHARE: f64 = 0.05;

/// Condition on the values of a panel.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// The number equals the first value, within a share of it.
    Equals(f64, f64),
    /// The counters behind the number equal this one, and the number is near it.
    Total(f64),
    /// The counter behind each of these curves (by label value) equals its number, and the area
    /// below the curve is near it.
    Areas(&'static str, Vec<(&'static str, f64)>),
    /// The counters behind all curves together equal this number, and the area below the curves is
    /// near it.
    Area(f64),
    /// All values are between the two limits.
    Between(f64, f64),
    /// All values are between the first two, and the highest is at least the third.
    Reaches(f64, f64, f64),
    /// The lowest value equals the first, the highest the second.
    Spans(f64, f64),
    /// One row for the endpoint, whose cells are between these limits.
    Cells(Vec<(f64, f64)>),
    /// p50 <= p95 <= p99, and the highest value is between the two limits.
    Quantiles(f64, f64),
}

impl Check {
    /// Returns the condition as text, for the table.
    pub(crate) fn says(&self) -> String {
        match self {
            Self::Equals(value, within) if *within > 0.0 => {
                format!("= {} within {} %", short(*value), within * 100.0)
            }
            Self::Equals(value, _) => format!("= {}", short(*value)),
            Self::Total(count) => format!("total: {count}"),
            Self::Areas(_, wanted) => {
                let each = wanted.iter().map(|(name, count)| format!("{name} {count}"));
                format!("areas: {}", each.collect::<Vec<_>>().join(", "))
            }
            Self::Area(count) => format!("area: {count}"),
            Self::Between(low, high) => format!("{} to {}", short(*low), short(*high)),
            Self::Reaches(low, high, least) => {
                format!(
                    "{} to {}, reaches {}",
                    short(*low),
                    short(*high),
                    short(*least)
                )
            }
            Self::Spans(low, high) => format!("exactly {low} to {high}"),
            Self::Cells(limits) => {
                let cell =
                    |(low, high): &(f64, f64)| format!("{} to {}", short(*low), short(*high));
                let cells: Vec<String> = limits.iter().map(cell).collect();
                format!("one row: {}", cells.join(", "))
            }
            Self::Quantiles(low, high) => {
                format!(
                    "p50 <= p95 <= p99, highest {} to {}",
                    short(*low),
                    short(*high)
                )
            }
        }
    }

    /// Checks the series of a panel: one list per query, with points `step` seconds apart.
    pub(crate) fn holds(&self, queries: &[Vec<Series>], step: f64) -> Result<(), String> {
        let all: Vec<f64> = queries.iter().flatten().flat_map(Series::values).collect();
        let (Some(lowest), Some(highest)) = (
            all.iter().copied().reduce(f64::min),
            all.iter().copied().reduce(f64::max),
        ) else {
            return Err("no value".to_owned());
        };
        let area = |of: &Series| of.values().sum::<f64>() * step;
        let within = |low: f64, high: f64| {
            let fault = format!("{} to {}", short(lowest), short(highest));
            if lowest >= low && highest <= high {
                Ok(())
            } else {
                Err(fault)
            }
        };
        match self {
            Self::Equals(wanted, share) => {
                let is_near = (highest - wanted).abs() <= wanted.abs() * share + 1e-9;
                if is_near && all.len() == 1 {
                    Ok(())
                } else {
                    Err(format!("{highest} instead of {wanted}"))
                }
            }
            Self::Total(_) => self.sums_hold(
                queries,
                |of| of.values().sum(),
                |count| f64::max(count * TOTAL_SHARE, 5.0),
            ),
            Self::Areas(..) | Self::Area(_) => {
                self.sums_hold(queries, area, |count| f64::max(count * AREA_SHARE, 5.0))
            }
            Self::Between(low, high) => within(*low, *high),
            Self::Spans(low, high) => {
                within(*low, *high)?;
                let spans = (lowest - low).abs() < 1e-9 && (highest - high).abs() < 1e-9;
                if spans {
                    Ok(())
                } else {
                    Err(format!("only {lowest} to {highest}"))
                }
            }
            Self::Reaches(low, high, least) => {
                within(*low, *high)?;
                if highest >= *least {
                    Ok(())
                } else {
                    Err(format!("reaches only {}", short(highest)))
                }
            }
            Self::Cells(limits) => cells_hold(queries, limits),
            Self::Quantiles(low, high) => {
                let in_order = (0..)
                    .map_while(|n| quantile_triple(queries, n))
                    .all(|[a, b, c]| a <= b && b <= c);
                if !in_order || queries.len() != 3 {
                    return Err("the quantiles are not in order".to_owned());
                }
                if (*low..=*high).contains(&highest) {
                    Ok(())
                } else {
                    Err(format!("highest {}", short(highest)))
                }
            }
        }
    }

    /// Returns whether the counters of the panel must have certain values.
    pub(crate) fn is_of_counters(&self) -> bool {
        matches!(self, Self::Total(_) | Self::Areas(..) | Self::Area(_))
    }

    /// Checks the counters of the panel at the end: its queries without `rate` and `increase`.
    pub(crate) fn counters_hold(&self, queries: &[Vec<Series>]) -> Result<(), String> {
        let value = |of: &Series| of.values().sum();
        let held = self.sums_hold(queries, value, |_| 0.5);
        held.map_err(|fault| format!("counter {fault}"))
    }

    /// Checks the sums of the series with each label value.
    fn sums_hold(
        &self,
        queries: &[Vec<Series>],
        measure: impl Fn(&Series) -> f64,
        tolerance: impl Fn(f64) -> f64,
    ) -> Result<(), String> {
        let near = |name: &str, is_of: &dyn Fn(&Series) -> bool, wanted: f64| {
            let series = queries.iter().flatten().filter(|series| is_of(series));
            let is: f64 = series.map(&measure).sum();
            if (is - wanted).abs() <= tolerance(wanted) {
                Ok(())
            } else {
                Err(format!(
                    "{name}: {} instead of {}",
                    short(is),
                    short(wanted)
                ))
            }
        };
        match self {
            Self::Areas(label, wanted) => wanted.iter().try_for_each(|(name, count)| {
                near(name, &|series| series.label(label) == *name, *count)
            }),
            Self::Total(count) | Self::Area(count) => near("all", &|_| true, *count),
            _ => Ok(()),
        }
    }
}

fn cells_hold(queries: &[Vec<Series>], limits: &[(f64, f64)]) -> Result<(), String> {
    if queries.len() != limits.len() {
        return Err(format!("{} columns", queries.len()));
    }
    for (number, (rows, (low, high))) in queries.iter().zip(limits).enumerate() {
        let [row] = rows.as_slice() else {
            return Err(format!("{} rows in column {number}", rows.len()));
        };
        let is_right = row.label("endpoint") == "default"
            && row.values().count() == 1
            && row.values().all(|value| (*low..=*high).contains(&value));
        if !is_right {
            return Err(format!("{:?} in column {number}", row.points));
        }
    }
    Ok(())
}

/// Returns the three quantiles at the n-th step.
fn quantile_triple(queries: &[Vec<Series>], n: usize) -> Option<[f64; 3]> {
    let at = |query: usize| {
        let points = &queries.get(query)?.first()?.points;
        points
            .get(n)
            .map(|(_, value)| if value.is_nan() { 0.0 } else { *value })
    };
    Some([at(0)?, at(1)?, at(2)?])
}

/// Formats a value with few digits.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        1e6.. => format!("{value:.1e}"),
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.2}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned(),
        _ => format!("{value:.4}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn curve(outcome: &str, values: &[f64]) -> Series {
        Series {
            labels: json!({ "outcome": outcome }),
            points: (0_u32..)
                .map(f64::from)
                .zip(values.iter().copied())
                .collect(),
        }
    }

    #[test]
    fn counter_is_exact_and_its_curve_an_estimate() {
        let check = Check::Areas("outcome", vec![("delivered", 100.0)]);
        let near = vec![vec![
            curve("delivered", &[50.0, 40.0]),
            curve("other", &[99.0]),
        ]];
        assert_eq!(check.holds(&near, 1.0), Ok(()));
        let far = vec![vec![curve("delivered", &[50.0, 20.0])]];
        assert!(check.holds(&far, 1.0).is_err());
        let exact = vec![vec![curve("delivered", &[100.0]), curve("other", &[9.0])]];
        assert_eq!(check.counters_hold(&exact), Ok(()));
        let missing = vec![vec![curve("delivered", &[99.0])]];
        assert_eq!(
            check.counters_hold(&missing),
            Err("counter delivered: 99 instead of 100".to_owned())
        );
    }

    #[test]
    fn total_is_the_sum_of_all_series() {
        let check = Check::Total(100.0);
        let all = vec![vec![curve("a", &[60.0]), curve("b", &[40.0])]];
        assert_eq!(check.counters_hold(&all), Ok(()));
        let near = vec![vec![curve("a", &[104.0])]];
        assert_eq!(check.holds(&near, 1.0), Ok(()));
        assert!(check.counters_hold(&near).is_err());
    }
}
