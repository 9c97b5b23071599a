//! What an operator has set, read from the environment and checked before the
//! first socket opens.
//!
//! The getters note a fault and go on with a stand-in value, so that
//! [`Settings::finish`] names every fault at once. Every variable `NAME` can be
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

/// The exit status of a program that was given faulty settings.
pub const EXIT_STATUS: u8 = 2;

/// A reader that collects faults and what is in effect.
#[derive(Debug)]
pub struct Settings {
    source: Source,
    asked: BTreeSet<String>,
    effective: Vec<Effective>,
    faults: Vec<SettingFault>,
}

/// A fault was noted for the variable that was looked up.
struct Faulty;

impl Settings {
    /// The process's environment, and below it the `.env` file of the working
    /// directory, where there is one.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::read(Path::new(".env"), std::env::vars_os())
    }

    /// Settings given directly, for tests.
    #[must_use]
    pub fn from_pairs<K: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let pairs = pairs
            .into_iter()
            .map(|(name, value)| (name.into().into(), value.into().into()));
        Self::over(Source::of_environment(pairs), Vec::new())
    }

    /// A text, where it is set.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let value = self.look_up(name).unwrap_or(None);
        self.effective.push(Effective::of(name, value.as_deref()));
        value
    }

    /// A text that has to be set; empty where it is not.
    pub fn required(&mut self, name: &str, example: &str) -> String {
        let value = match self.look_up(name) {
            Ok(Some(value)) => value,
            Ok(None) => {
                self.fault(name, "is not set", example);
                String::new()
            }
            Err(Faulty) => String::new(),
        };
        self.effective.push(Effective::of(name, Some(&value)));
        value
    }

    /// A value of any type that reads itself from text. `expected` says what a
    /// right value is ("a number of milliseconds").
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

    /// As [`Settings::optional`], for a value that has to be set.
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

    /// A number within limits, both of them allowed.
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

    /// `true`, `yes` or `1`; `false`, `no` or `0`.
    pub fn flag(&mut self, name: &str, default: bool) -> bool {
        let value = self
            .parse(name, "true or false", "true")
            .map_or(default, |Flag(value)| value);
        self.effective
            .push(Effective::of(name, Some(&value.to_string())));
        value
    }

    /// A text that is never shown. Taken as it is, spaces included; of a file
    /// the last line's end is left out.
    pub fn secret(&mut self, name: &str) -> Option<String> {
        let value = self.look_up_exactly(name).unwrap_or(None);
        self.effective
            .push(Effective::of_secret(name, value.is_some()));
        value
    }

    /// Notes a fault that the caller found. `problem` completes the sentence
    /// that the variable's name begins; it must not quote a secret.
    pub fn fault(&mut self, name: &str, problem: impl Into<String>, example: &str) {
        self.faults
            .push(SettingFault::new(name, problem, Some(example)));
    }

    /// Notes a fault of something that no example can mend, at a place that is
    /// more than a variable: a line of a file that one names.
    pub fn fault_at(&mut self, place: &str, problem: impl Into<String>) {
        self.faults.push(SettingFault::new(place, problem, None));
    }

    /// Whether it is set to something, as itself or as a file.
    pub fn is_given(&mut self, name: &str) -> bool {
        self.asked.insert(name.to_owned());
        let is_file = format!("{name}_FILE");
        self.source
            .names()
            .any(|given| given == name || given == is_file)
    }

    /// From now on it is as if this was set, where nothing is.
    pub fn assume(&mut self, name: &str, value: String) {
        if !self.is_given(name) {
            self.source.assume(name, value);
        }
    }

    /// From now on it is as if this was set, whatever is: an option outranks the environment.
    pub fn outrank(&mut self, name: &str, value: String) {
        self.source.outrank(name, value);
    }

    /// The variables under these prefixes that are set but that nothing asked
    /// for: misspelt ones, most likely. Call it after all getters.
    #[must_use]
    pub fn unknown(&self, prefixes: &[&str]) -> Vec<String> {
        let ours = |name: &&str| prefixes.iter().any(|prefix| name.starts_with(prefix));
        let asked = |name: &str| {
            self.asked.contains(name)
                || name
                    .strip_suffix("_FILE")
                    .is_some_and(|name| self.asked.contains(name))
        };
        self.source
            .names()
            .filter(ours)
            .filter(|name| !asked(name))
            .map(str::to_owned)
            .collect()
    }

    /// What is in effect, in the order in which it was asked for, with
    /// secrets redacted.
    ///
    /// # Errors
    /// All faults that were noted.
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
        Self::over(source, faults)
    }

    fn over(source: Source, faults: Vec<SettingFault>) -> Self {
        Self {
            source,
            asked: BTreeSet::new(),
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
                // A parser may quote the password in its own words, so they
                // are left out where there is one.
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

    /// The value without spaces around it: no setting but a secret means them.
    fn look_up(&mut self, name: &str) -> Result<Option<String>, Faulty> {
        let value = self
            .look_up_exactly(name)?
            .map(|value| value.trim().to_owned());
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn look_up_exactly(&mut self, name: &str) -> Result<Option<String>, Faulty> {
        self.asked.insert(name.to_owned());
        self.source.value(name).map_err(|fault| {
            self.faults.push(fault);
            Faulty
        })
    }
}

#[cfg(test)]
mod tests;
