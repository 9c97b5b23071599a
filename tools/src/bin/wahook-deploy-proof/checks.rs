//! Conditions on the values of a panel.

use crate::series::Series;

/// Condition on the values of a panel.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// The number equals the first value, within a share of it.
    Equals(f64, f64),
    /// The area below each of these curves (by label value) equals its number, within 5 % or 3.
    Areas(&'static str, Vec<(&'static str, f64)>),
    /// The area below all curves together equals this number, within 5 % or 3.
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
        let total = || queries.iter().flatten().map(area).sum::<f64>();
        let near = |name: &str, is: f64, wanted: f64| {
            let tolerance = f64::max(wanted * 0.05, 3.0);
            let fault = format!("{name}: {} instead of {}", short(is), short(wanted));
            if (is - wanted).abs() <= tolerance {
                Ok(())
            } else {
                Err(fault)
            }
        };
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
            Self::Areas(label, wanted) => wanted.iter().try_for_each(|(name, count)| {
                let curves = queries
                    .iter()
                    .flatten()
                    .filter(|series| series.label(label) == *name);
                near(name, curves.map(area).sum(), *count)
            }),
            Self::Area(count) => near("all", total(), *count),
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
