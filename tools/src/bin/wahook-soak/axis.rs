//! Scales and marks of the plot's axes.

use std::iter::successors;

/// Scale of an axis from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// Logarithmic above this value, about linear below it.
    Logarithmic(f64),
}

impl Scale {
    /// Returns the place of a value between 0 and `highest`, from 0 to 1.
    pub(crate) fn place(self, value: f64, highest: f64) -> f64 {
        match self {
            Self::Linear => value / highest,
            Self::Logarithmic(unit) => (value / unit).ln_1p() / (highest / unit).ln_1p(),
        }
    }

    pub(crate) fn ticks(self, most: f64) -> Vec<f64> {
        match self {
            Self::Linear => {
                let mut marks = ticks(most, 4.0);
                let step = marks.get(1).copied().unwrap_or(1.0);
                // The last mark is above the line.
                marks.push(step * marks.len() as f64);
                marks
            }
            Self::Logarithmic(_) => {
                let decades = successors(Some(1.0), |mark| Some(mark * 10.0));
                let marks = decades.take_while(|mark| *mark <= most.max(10.0));
                [0.0].into_iter().chain(marks).collect()
            }
        }
    }
}

/// Returns marks from 0 to `most`, about `count` of them, at multiples of 1, 2 or 5.
pub(crate) fn ticks(most: f64, count: f64) -> Vec<f64> {
    let rough = (most / count).max(1e-3);
    let decade = 10_f64.powf(rough.log10().floor());
    let mut steps = [1.0, 2.0, 5.0, 10.0].into_iter().map(|unit| unit * decade);
    let step = steps.find(|step| *step >= rough).unwrap_or(rough);
    let marks = (0..u32::MAX).map(|mark| f64::from(mark) * step);
    marks.take_while(|mark| *mark <= most).collect()
}

/// Returns a mark as text, without zeros at its end.
pub(crate) fn label(mark: f64) -> String {
    let text = format!("{mark:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_at_round_values() {
        assert_eq!(ticks(20.0, 4.0), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(ticks(120.0, 12.0).len(), 13);
        assert_eq!(Scale::Linear.ticks(37.0), [0.0, 10.0, 20.0, 30.0, 40.0]);
        assert_eq!(
            Scale::Logarithmic(1.0).ticks(250.0),
            [0.0, 1.0, 10.0, 100.0]
        );
        assert_eq!(Scale::Logarithmic(0.1).ticks(0.0), [0.0, 1.0, 10.0]);
    }

    #[test]
    fn places_are_between_0_and_1() {
        for scale in [Scale::Linear, Scale::Logarithmic(1.0)] {
            assert_eq!(scale.place(0.0, 50.0), 0.0);
            assert_eq!(scale.place(50.0, 50.0), 1.0);
        }
        assert!(Scale::Logarithmic(1.0).place(5.0, 50.0) > 0.4);
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([0.0, 0.25, 100.0].map(label), ["0", "0.25", "100"]);
    }
}
