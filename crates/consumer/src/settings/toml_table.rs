//! TOML table that reports every fault with its line.

use std::{fmt, ops::Range};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Fault in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileFault {
    /// Line number, from 1.
    pub line: usize,
    /// Description for the operator.
    pub problem: String,
}

impl fmt::Display for FileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// Faults of one file.
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

    /// Returns the faults in line order.
    pub(super) fn into_sorted(mut self) -> Vec<FileFault> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }
}

/// Table that is read field by field. A field left unread is a fault, since it is most
/// likely misspelt.
pub(super) struct Table<'t, 'f> {
    /// Owner as named in faults, such as `endpoint crm`.
    pub(super) owner: String,
    /// Position in the file.
    pub(super) place: Range<usize>,
    fields: DeTable<'t>,
    faults: &'f mut Faults<'t>,
}

impl<'t, 'f> Table<'t, 'f> {
    pub(super) fn new(
        owner: String,
        place: Range<usize>,
        fields: DeTable<'t>,
        faults: &'f mut Faults<'t>,
    ) -> Self {
        Self {
            owner,
            place,
            fields,
            faults,
        }
    }

    pub(super) fn fault(&mut self, place: &Range<usize>, problem: impl fmt::Display) {
        self.faults.add(place, format!("{}: {problem}", self.owner));
    }

    /// Returns true if the field is present, valid or not.
    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Takes the field's raw value.
    pub(super) fn take(&mut self, name: &str) -> Option<Spanned<DeValue<'t>>> {
        self.fields.remove(name)
    }

    /// Reads a field if present. `read` returns `None` for an invalid value; `expected`
    /// describes a valid one.
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

    /// Reads a string and its position.
    pub(super) fn text(&mut self, name: &str) -> Option<(String, Range<usize>)> {
        let place = self.fields.get(name).map(Spanned::span)?;
        let text = self.read(name, "a string in quotes", |value| {
            value.as_str().map(str::to_owned)
        })?;
        Some((text, place))
    }

    /// Reads a whole number within a range.
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

    /// Reads a boolean.
    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        self.read(name, "true or false", DeValue::as_bool)
            .unwrap_or(default)
    }

    /// Creates a reader for a table inside this one.
    pub(super) fn within(
        &mut self,
        name: &str,
        place: &Range<usize>,
        fields: DeTable<'t>,
    ) -> Table<'t, '_> {
        let owner = format!("{}: {name}", self.owner);
        Table::new(owner, place.clone(), fields, self.faults)
    }

    /// Reports fields left unread; `known` lists the valid ones.
    pub(super) fn finish(mut self, known: &str) {
        for (name, _) in std::mem::take(&mut self.fields) {
            let problem = format!("unknown setting {}; expected {known}", name.get_ref());
            self.fault(&name.span(), problem);
        }
    }
}

/// Parses a number with or without a decimal point.
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
