//! TOML files of equal tables, such as `[[endpoint]]`: every fault is reported with its line.

use std::{collections::BTreeSet, fmt, fs, ops::Range, path::Path, str::FromStr};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

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

#[derive(Debug)]
struct Faults<'t> {
    text: &'t str,
    found: Vec<FileFault>,
}

impl<'t> Faults<'t> {
    fn of(text: &'t str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    fn add(&mut self, place: &Range<usize>, problem: impl Into<String>) {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        self.found.push(FileFault {
            line: before.matches('\n').count() + 1,
            problem: problem.into(),
        });
    }

    /// Returns the faults in line order.
    fn into_sorted(mut self) -> Vec<FileFault> {
        self.found.sort_by_key(|fault| fault.line);
        self.found
    }
}

/// Reads a file of tables of one name. `known` lists their valid fields, and `read` reads all
/// fields of a table, also after a fault. At least one table is expected, and at most `most`.
///
/// # Errors
/// Returns every fault, in line order.
pub fn read_tables<T>(
    text: &str,
    name: &str,
    most: usize,
    known: &str,
    mut read: impl FnMut(&mut Table<'_, '_>) -> Option<T>,
) -> Result<Vec<T>, Vec<FileFault>> {
    let mut faults = Faults::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        faults.add(&error.span().unwrap_or_default(), error.message());
    }
    let whole = document.span();
    let owner = "the file".to_owned();
    let mut root = Table::new(owner, whole, document.into_inner(), &mut faults);
    let tables = root.read(name, &format!("written as [[{name}]]"), tables);
    let place = root.place.clone();
    root.finish(&format!("[[{name}]] tables only"));
    let tables = tables.unwrap_or_default();
    if tables.is_empty() {
        faults.add(&place, format!("the file has no [[{name}]]"));
    }
    if tables.len() > most {
        let problem = format!("too many {name}s: at most {most} are allowed");
        faults.add(&place, problem);
    }
    let mut found = Vec::with_capacity(tables.len());
    for (number, table) in (1..).zip(tables) {
        let place = table.span();
        let fields = table.into_inner();
        let owner = match fields.get("name").and_then(|name| name.get_ref().as_str()) {
            Some(own) => format!("{name} {own}"),
            None => format!("{name} {number}"),
        };
        let mut table = Table::new(owner, place, fields, &mut faults);
        found.extend(read(&mut table));
        table.finish(known);
    }
    let faults = faults.into_sorted();
    if faults.is_empty() {
        Ok(found)
    } else {
        Err(faults)
    }
}

/// Reads the text of a file.
///
/// # Errors
/// Returns one fault.
pub fn read_file(path: &Path) -> Result<String, Vec<FileFault>> {
    fs::read_to_string(path).map_err(|error| {
        let problem = format!("the file can't be read: {error}");
        vec![FileFault { line: 1, problem }]
    })
}

fn tables<'t>(value: &DeValue<'t>) -> Option<Vec<Spanned<DeTable<'t>>>> {
    let items = value.as_array()?.iter();
    items
        .map(|item| {
            Some(Spanned::new(
                item.span(),
                item.get_ref().as_table()?.clone(),
            ))
        })
        .collect()
}

/// Table that is read field by field. A field left unread is a fault, since it is most
/// likely misspelt.
pub struct Table<'t, 'f> {
    /// Owner as named in faults, such as `endpoint crm`.
    pub owner: String,
    /// Position in the file.
    pub place: Range<usize>,
    fields: DeTable<'t>,
    faults: &'f mut Faults<'t>,
}

impl<'t, 'f> Table<'t, 'f> {
    fn new(
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

    pub fn fault(&mut self, place: &Range<usize>, problem: impl fmt::Display) {
        self.faults.add(place, format!("{}: {problem}", self.owner));
    }

    /// Returns true if the field is present, valid or not.
    pub fn has(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }

    /// Takes the field's raw value.
    pub fn take(&mut self, name: &str) -> Option<Spanned<DeValue<'t>>> {
        self.fields.remove(name)
    }

    /// Reads a field if present. `read` returns `None` for an invalid value; `expected`
    /// describes a valid one.
    pub fn read<T>(
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

    /// Returns the position of a field that was not read yet.
    #[must_use]
    pub fn place_of(&self, name: &str) -> Option<Range<usize>> {
        self.fields.get(name).map(Spanned::span)
    }

    /// Reads a string and its position.
    pub fn text(&mut self, name: &str) -> Option<(String, Range<usize>)> {
        let place = self.place_of(name)?;
        let text = self.read(name, "a string in quotes", |value| {
            value.as_str().map(str::to_owned)
        })?;
        Some((text, place))
    }

    /// Reads a text from the field itself, or from the file that the field with `_file` names,
    /// relative to `folder`. Returns it with the position of its field.
    pub fn text_or_file(&mut self, name: &str, folder: &Path) -> Option<(String, Range<usize>)> {
        let pointer = format!("{name}_file");
        match (self.text(name), self.text(&pointer)) {
            (Some(given), None) => Some(given),
            (None, None) => None,
            (Some(_), Some((_, place))) => {
                self.fault(&place, format_args!("keep one of {name} and {pointer}"));
                None
            }
            (None, Some((path, place))) => match fs::read_to_string(folder.join(&path)) {
                Ok(text) => Some((text.trim_end_matches(['\r', '\n']).to_owned(), place)),
                Err(error) => {
                    let problem = format!("{pointer} is {path}, which can't be read: {error}");
                    self.fault(&place, problem);
                    None
                }
            },
        }
    }

    /// Reads the required field `name`, which no other table of the file may have. `kind` names
    /// the tables in faults.
    pub fn unique_name<N>(
        &mut self,
        kind: &str,
        example: &str,
        taken: &mut BTreeSet<N>,
    ) -> Option<N>
    where
        N: FromStr<Err: fmt::Display> + Ord + Clone,
    {
        let Some((text, place)) = self.text("name") else {
            let place = self.place.clone();
            self.fault(
                &place,
                format_args!("name is missing, such as \"{example}\""),
            );
            return None;
        };
        match text.parse::<N>() {
            Ok(name) if taken.insert(name.clone()) => Some(name),
            Ok(_) => {
                let problem = format_args!("name is already used by another {kind}");
                self.fault(&place, problem);
                None
            }
            Err(error) => {
                self.fault(&place, format_args!("name {error}"));
                None
            }
        }
    }

    /// Reads a list of strings and parses each; returns the valid items with their positions.
    /// `expected` describes the list.
    pub fn list<T: FromStr<Err: fmt::Display>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Vec<(T, Range<usize>)> {
        let mut list = Vec::new();
        for (text, place) in self.texts(name, expected).unwrap_or_default() {
            match text.parse() {
                Ok(item) => list.push((item, place)),
                Err(error) => self.fault(&place, format_args!("{name}: \"{text}\" {error}")),
            }
        }
        list
    }

    fn texts(&mut self, name: &str, expected: &str) -> Option<Vec<(String, Range<usize>)>> {
        self.read(name, expected, |value| {
            let items = value.as_array()?.iter();
            let text = |item: &Spanned<DeValue<'_>>| {
                Some((item.get_ref().as_str()?.to_owned(), item.span()))
            };
            let texts: Vec<_> = items.map(text).collect::<Option<_>>()?;
            (!texts.is_empty()).then_some(texts)
        })
    }

    /// Reads a whole number within a range.
    pub fn whole<N: TryFrom<i64> + PartialOrd + fmt::Display>(
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
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        self.read(name, "true or false", DeValue::as_bool)
            .unwrap_or(default)
    }

    /// Creates a reader for a table inside this one.
    pub fn within(
        &mut self,
        name: &str,
        place: &Range<usize>,
        fields: DeTable<'t>,
    ) -> Table<'t, '_> {
        let owner = format!("{}: {name}", self.owner);
        Table::new(owner, place.clone(), fields, self.faults)
    }

    /// Reports fields left unread; `known` lists the valid ones.
    pub fn finish(mut self, known: &str) {
        for (name, _) in std::mem::take(&mut self.fields) {
            let problem = format!("unknown setting {}; expected {known}", name.get_ref());
            self.fault(&name.span(), problem);
        }
    }
}

/// Parses a number with or without a decimal point.
pub fn number(value: &DeValue<'_>) -> Option<f64> {
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
