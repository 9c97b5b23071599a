//! A TOML table whose every fault is told with its line.

use std::{fmt, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// What is wrong in a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Counted from 1.
    pub line: usize,
    /// What to mend.
    pub problem: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// The faults of one file.
#[derive(Debug)]
pub(super) struct Faults<'t> {
    text: &'t str,
    found: Vec<FileFault>,
}

impl<'t> Faults<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, place: &Range<usize>, problem: impl Into<String>) {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        self.found.push(FileFault {
            line: before.matches('\n').count() + 1,
            problem: problem.into(),
        });
    }

    /// In the order of their lines.
    pub(super) fn into_sorted(mut self) -> Vec<FileFault> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }
}

/// A table that is read field by field. What was not asked for in the end is a
/// fault, since it is most likely misspelt.
pub(super) struct Table<'t, 'f> {
    /// Whose it is, as its faults name it: `endpoint crm`.
    pub(super) whose: String,
    /// Where it begins.
    pub(super) place: Range<usize>,
    fields: DeTable<'t>,
    faults: &'f mut Faults<'t>,
}

impl<'t, 'f> Table<'t, 'f> {
    pub(super) fn new(
        whose: String,
        place: Range<usize>,
        fields: DeTable<'t>,
        faults: &'f mut Faults<'t>,
    ) -> Self {
        Self {
            whose,
            place,
            fields,
            faults,
        }
    }

    pub(super) fn fault(&mut self, place: &Range<usize>, problem: impl fmt::Display) {
        self.faults.add(place, format!("{}: {problem}", self.whose));
    }

    /// Whether it is there, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// The field's value as it stands.
    pub(super) fn take(&mut self, name: &str) -> Option<Spanned<DeValue<'t>>> {
        self.fields.remove(name)
    }

    /// Reads a field where it is there. `read` gives nothing for a wrong value,
    /// and `expected` says what a right one is.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&DeValue<'t>) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(name)?;
        let read = read(value.get_ref());
        if read.is_none() {
            self.fault(&value.span(), format_args!("{name} must be {expected}"));
        }
        read
    }

    /// A text, and where it stands.
    pub(super) fn text(&mut self, name: &str) -> Option<(String, Range<usize>)> {
        let place = self.fields.get(name).map(Spanned::span)?;
        let text = self.read(name, "a text in quotes", |value| {
            value.as_str().map(str::to_owned)
        })?;
        Some((text, place))
    }

    /// A whole number within limits.
    pub(super) fn whole<N: TryFrom<i64> + PartialOrd + fmt::Display>(
        &mut self,
        name: &str,
        default: N,
        range: std::ops::RangeInclusive<N>,
    ) -> N {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let number = self.read(name, &expected, |value| {
            let number = N::try_from(whole_number(value)?).ok()?;
            range.contains(&number).then_some(number)
        });
        number.unwrap_or(default)
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.read(name, "true or false", DeValue::as_bool)
            .unwrap_or(default)
    }

    /// A table within this one.
    pub(super) fn within(
        &mut self,
        name: &str,
        place: &Range<usize>,
        fields: DeTable<'t>,
    ) -> Table<'t, '_> {
        let whose = format!("{}: {name}", self.whose);
        Table::new(whose, place.clone(), fields, self.faults)
    }

    /// Names what nobody asked for. `known` is what there is.
    pub(super) fn finish(mut self, known: &str) {
        for (name, _) in std::mem::take(&mut self.fields) {
            let problem = format!("there is no setting {}; there are {known}", name.get_ref());
            self.fault(&name.span(), problem);
        }
    }
}

/// A number with or without a decimal point.
pub(super) fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok(),
        // No limit needs more than 32 bits.
        other => whole_number(other)
            .and_then(|whole| i32::try_from(whole).ok())
            .map(f64::from),
    }
}

fn whole_number(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}
