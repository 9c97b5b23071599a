//! Quantiles of measured values.

/// Returns the values in ascending order.
pub fn sorted(values: impl Into<Vec<f64>>) -> Vec<f64> {
    let mut values = values.into();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Returns the smallest value that is not exceeded by `permille` thousandths of the sorted values;
/// `None` without values.
pub fn quantile<T: Copy>(sorted: &[T], permille: usize) -> Option<T> {
    let place = (sorted.len() * permille).div_ceil(1_000);
    sorted.get(place.saturating_sub(1)).copied()
}

/// Returns the median of sorted values, the lower one of two; `None` without values.
pub fn median<T: Copy>(sorted: &[T]) -> Option<T> {
    quantile(sorted, 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_is_not_exceeded_by_the_given_share() {
        let values: Vec<u32> = (1..=1_000).collect();
        for (permille, expected) in [(1, 1), (500, 500), (990, 990), (999, 999), (1_000, 1_000)] {
            assert_eq!(quantile(&values, permille), Some(expected));
        }
        assert_eq!(quantile(&values[..3], 990), Some(3));
        assert_eq!(quantile::<u32>(&[], 500), None);
    }

    #[test]
    fn median_is_a_value_in_the_middle() {
        assert_eq!(median(&sorted([3.0, 1.0, 2.0])), Some(2.0));
        assert_eq!(median(&sorted([4.0, 1.0, 3.0, 2.0])), Some(2.0));
        assert_eq!(median::<f64>(&[]), None);
    }
}
