//! Slope of a short series.

use wahook_tests::statistics::{median, sorted};

/// Returns the slope of a line through the points by Theil and Sen: the median of the slopes of
/// all pairs. A quarter of the points may be outliers. `None` with fewer than two points.
pub(crate) fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let mut slopes = Vec::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let later = points.iter().skip(index + 1);
        slopes.extend(later.map(|(later_x, later_y)| (later_y - y) / (later_x - x)));
    }
    slopes.retain(|slope| slope.is_finite());
    median(&sorted(slopes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slope_ignores_a_quarter_of_outliers() {
        let points: Vec<_> = (0..40)
            .map(|n| {
                let x = f64::from(n);
                let y = if n % 4 == 1 { 1e6 } else { 5.0 + 0.5 * x };
                (x, y)
            })
            .collect();
        assert!((slope(&points).unwrap() - 0.5).abs() < 0.05, "{points:?}");
        assert_eq!(slope(&points[..1]), None);
        assert_eq!(slope(&[(1.0, 2.0), (1.0, 3.0)]), None);
    }
}
