//! Settings from the environment, validated before the first socket opens.
//!
//! The getters record a fault and continue with a placeholder value, so that
//! [`Settings::finish`] reports all faults at once. Every variable `NAME` can be
//! given as a file instead, by its path in `NAME_FILE`.

mod effective;
mod fault;
mod flag;
mod redact;
mod source;

use std::{
    collections::BTreeSet, ffi::OsString, fmt::Display, ops::RangeInclusive, path::Path,
    str::FromStr,
};

pub use effective::Effective;
pub use fault::{SettingFault, SettingsFaults};
use flag::Flag;
pub use redact::redact_url;
use source::Source;

/// Exit status of a program with faulty settings.
pub const EXIT_STATUS: u8 = 2;

/// Reader that collects faults and the effective values.
#[derive(Debug)]
pub struct Settings {
    source: Source,
    looked_up: BTreeSet<String>,
    effective: Vec<Effective>,
    faults: Vec<SettingFault>,
}

/// Marker: a fault is recorded for the variable.
struct FaultRecorded;

impl Settings {
    /// Reads the process's environment, and below it the `.env` file of the working
    /// directory, if there is one.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::read(Path::new(".env"), std::env::vars_os())
    }

    /// Creates settings from pairs, for tests.
    #[must_use]
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.into().into(), value.into().into()));
        Self::with_source(Source::of_environment(pairs), Vec::new())
    }

    /// Returns a text, if it is set.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.look_up(name).unwrap_or(None);
        self.effective.push(Effective::of(name, value.as_deref()));
        value
    }

    /// Returns a text that must be set; empty if it is not.
    pub fn required(&mut self, name: &str, example: &str) -> String {
        let value = match self.look_up(name) {
            Ok(Some(value)) => value,
            Ok(None) => {
                self.fault(name, "is not set", example);
                String::new()
            }
            Err(FaultRecorded) => String::new(),
        };
        self.effective.push(Effective::of(name, Some(&value)));
        value
    }

    /// Returns a value of any type that implements `FromStr`. `expected` describes a
    /// valid value ("a number of milliseconds").
    pub fn parsed<T>(&mut self, name: &str, default: T, expected: &str, example: &str) -> T
    where
        T: FromStr<Err: Display> + Display,
    {
        let value = self.parse(name, expected, example).unwrap_or(default);
        self.effective
            .push(Effective::of(name, Some(&value.to_string())));
        value
    }

    /// As [`Settings::parsed`], for a value that may be absent.
    pub fn optional<T>(&mut self, name: &str, expected: &str, example: &str) -> Option<T>
    where
        T: FromStr<Err: Display> + Display,
    {
        let value: Option<T> = self.parse(name, expected, example);
        self.effective.push(Effective::of(
            name,
            value.as_ref().map(T::to_string).as_deref(),
        ));
        value
    }

    /// As [`Settings::optional`], for a value that must be set.
    pub fn required_parsed<T>(&mut self, name: &str, expected: &str, example: &str) -> Option<T>
    where
        T: FromStr<Err: Display> + Display,
    {
        let faults = self.faults.len();
        let value = self.optional(name, expected, example);
        if value.is_none() && self.faults.len() == faults {
            self.fault(name, "is not set", example);
        }
        value
    }

    /// Returns a number within an inclusive range.
    pub fn in_range<T>(
        &mut self,
        name: &str,
        default: T,
        range: RangeInclusive<T>,
        example: &str,
    ) -> T
    where
        T: FromStr<Err: Display> + Display + PartialOrd,
    {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        let value = match self.parse::<T>(name, &expected, example) {
            Some(value) if !range.contains(&value) => {
                self.fault(name, format!("is {value}, but must be {expected}"), example);
                default
            }
            value => value.unwrap_or(default),
        };
        self.effective
            .push(Effective::of(name, Some(&value.to_string())));
        value
    }

    /// Returns a boolean: `true`, `yes` or `1`; `false`, `no` or `0`.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        let value = self
            .parse(name, "true or false", "true")
            .map_or(default, |Flag(value)| value);
        self.effective
            .push(Effective::of(name, Some(&value.to_string())));
        value
    }

    /// Returns a text that is never shown. Spaces are kept; the line end of the last
    /// line of a file is removed.
    pub fn secret(&mut self, name: &str) -> Option<String> {
        let value = self.look_up_exactly(name).unwrap_or(None);
        self.effective
            .push(Effective::of_secret(name, value.is_some()));
        value
    }

    /// Records a fault that the caller found. `problem` completes the sentence that
    /// the variable's name begins; it must not quote a secret.
    pub fn fault(&mut self, name: &str, problem: impl Into<String>, example: &str) {
        self.faults
            .push(SettingFault::new(name, problem, Some(example)));
    }

    /// Records a fault without an example, at a place other than a variable, such as a
    /// line of a file.
    pub fn fault_at(&mut self, place: &str, problem: impl Into<String>) {
        self.faults.push(SettingFault::new(place, problem, None));
    }

    /// Returns true if the variable or its `_FILE` is set and not empty.
    pub fn is_given(&mut self, name: &str) -> bool {
        self.looked_up.insert(name.to_owned());
        let is_file = format!("{name}_FILE");
        self.source
            .names()
            .any(|given| given == name || given == is_file)
    }

    /// Sets a default for `name`, used if neither it nor its file is set.
    pub fn assume(&mut self, name: &str, value: String) {
        if !self.is_given(name) {
            self.source.assume(name, value);
        }
    }

    /// Overrides `name`; a command-line option takes precedence over the environment.
    pub fn outrank(&mut self, name: &str, value: String) {
        self.source.outrank(name, value);
    }

    /// Returns the variables with these prefixes that are set but were not looked up,
    /// most likely misspelt ones. Call it after all getters.
    #[must_use]
    pub fn unknown(&self, prefixes: &[&str]) -> Vec<String> {
        let ours = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let looked_up = |name: &str| {
            self.looked_up.contains(name)
                || name
                    .strip_suffix("_FILE")
                    .is_some_and(|name| self.looked_up.contains(name))
        };
        self.source
            .names()
            .filter(ours)
            .filter(|name| !looked_up(name))
            .map(str::to_owned)
            .collect()
    }

    /// Returns the effective values in the order of the getters, with secrets redacted.
    ///
    /// # Errors
    /// All recorded faults.
    pub fn finish(self) -> Result<Vec<Effective>, SettingsFaults> {
        if self.faults.is_empty() {
            Ok(self.effective)
        } else {
            Err(SettingsFaults::new(self.faults))
        }
    }

    fn read(dotenv: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut source = Source::of_environment(environment);
        let faults = source.fill_up_from(dotenv);
        Self::with_source(source, faults)
    }

    fn with_source(source: Source, faults: Vec<SettingFault>) -> Self {
        Self {
            source,
            looked_up: BTreeSet::new(),
            effective: Vec::new(),
            faults,
        }
    }

    fn parse<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
        expected: &str,
        example: &str,
    ) -> Option<T> {
        let text = self.look_up(name).unwrap_or(None)?;
        text.parse()
            .map_err(|error: T::Err| {
                let shown = redact_url(&text);
                // The parser's error may quote the password, so it is left out if
                // the value has one.
                let reason = if shown == text {
                    format!(" ({error})")
                } else {
                    String::new()
                };
                self.fault(
                    name,
                    format!("is \"{shown}\", but must be {expected}{reason}"),
                    example,
                );
            })
            .ok()
    }

    /// Returns the value without surrounding spaces, which only matter in secrets.
    fn look_up(&mut self, name: &str) -> Result<Option<String>, FaultRecorded> {
        let value = self
            .look_up_exactly(name)?
            .map(|value| value.trim().to_owned());
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn look_up_exactly(&mut self, name: &str) -> Result<Option<String>, FaultRecorded> {
        self.looked_up.insert(name.to_owned());
        self.source.value(name).map_err(|fault| {
            self.faults.push(fault);
            FaultRecorded
        })
    }
}

#[cfg(test)]
mod tests;
