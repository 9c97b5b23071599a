//! Settings from the environment, validated before the first socket opens.
//!
//! Each setting is declared once, as a [`Setting`] next to the code that reads it.
//!
//! The getters record a fault and continue with a placeholder value, so that
//! [`Settings::finish`] reports all faults at once. Every variable `NAME` can be
//! given as a file instead, by its path in `NAME_FILE`.

mod effective;
mod fault;
mod flag;
pub mod help;
mod redact;
mod setting;
pub mod shared;
mod source;
pub mod toml_table;

use std::{collections::BTreeSet, ffi::OsString, fmt::Display, path::Path, str::FromStr};

pub use effective::Effective;
pub use fault::{SettingFault, SettingsFaults};
use flag::Flag;
use redact::redact_value;
pub use redact::{redact_reference, redact_url, try_redact_url};
pub use setting::{DefaultValue, Kind, Setting};
use source::{Source, pointer};

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

    /// Returns the value of a setting, or its default. Returns `None` if there is neither,
    /// which is a fault for a required setting.
    pub fn value<T>(&mut self, setting: &Setting) -> Option<T>
    where
        T: FromStr<Err: Display> + Display,
    {
        let value = match self.look_up(setting.name) {
            Ok(Some(text)) => self.parse(setting, &text),
            Ok(None) if setting.default.requirement().is_some() => {
                self.fault(setting, "is not set");
                None
            }
            Ok(None) | Err(FaultRecorded) => None,
        };
        let value: Option<T> = value.or_else(|| self.default_of(setting));
        self.effective.push(Effective::of(
            setting.name,
            value.as_ref().map(T::to_string).as_deref(),
        ));
        value
    }

    /// Returns a boolean: `true`, `yes` or `1`; `false`, `no` or `0`.
    pub fn flag(&mut self, setting: &Setting) -> bool {
        self.value(setting).is_some_and(|Flag(value)| value)
    }

    /// Returns a text that is never shown. Spaces are kept; the line end of the last
    /// line of a file is removed.
    pub fn secret(&mut self, setting: &Setting) -> Option<String> {
        let value = self.look_up_exactly(setting.name).unwrap_or(None);
        self.effective
            .push(Effective::of_secret(setting.name, value.is_some()));
        value
    }

    /// Records a fault that the caller found. `problem` completes the sentence that
    /// the variable's name begins; it must not quote a secret.
    pub fn fault(&mut self, setting: &Setting, problem: impl Into<String>) {
        self.faults.push(SettingFault::new(
            setting.name,
            problem,
            Some(setting.example),
        ));
    }

    /// Records a fault without an example, at a place other than a variable, such as a
    /// line of a file.
    pub fn fault_at(&mut self, place: &str, problem: impl Into<String>) {
        self.faults.push(SettingFault::new(place, problem, None));
    }

    /// Replaces the text that is shown as a setting's effective value.
    pub fn show_as(&mut self, setting: &Setting, shown: &str) {
        for effective in &mut self.effective {
            if effective.name == setting.name {
                shown.clone_into(&mut effective.value);
            }
        }
    }

    /// Returns true if the variable or its `_FILE` is set and not empty.
    pub fn is_given(&mut self, setting: &Setting) -> bool {
        self.looked_up.insert(setting.name.to_owned());
        let is_file = pointer(setting.name);
        self.source
            .names()
            .any(|given| given == setting.name || given == is_file)
    }

    /// Returns true if the variable or its `_FILE` comes from the `.env` file.
    #[must_use]
    pub fn is_in_dotenv(&self, setting: &Setting) -> bool {
        self.is_value_in_dotenv(setting) || self.source.is_in_dotenv(&pointer(setting.name))
    }

    /// Returns true if the variable itself comes from the `.env` file, not from the
    /// environment or a file.
    #[must_use]
    pub fn is_value_in_dotenv(&self, setting: &Setting) -> bool {
        self.source.is_in_dotenv(setting.name)
    }

    /// Sets another default, used if neither the variable nor its file is set.
    pub fn assume(&mut self, setting: &Setting, value: String) {
        if !self.is_given(setting) {
            self.source.assume(setting.name, value);
        }
    }

    /// Overrides the variable; a command-line option takes precedence over the
    /// environment.
    pub fn outrank(&mut self, setting: &Setting, value: String) {
        self.source.outrank(setting.name, value);
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

    fn parse<T>(&mut self, setting: &Setting, text: &str) -> Option<T>
    where
        T: FromStr<Err: Display> + Display,
    {
        let expected = setting.kind.expected();
        let problem = match text.parse::<T>() {
            Ok(value) if setting.kind.contains(text) => return Some(value),
            Ok(value) => format!("is {value}, but must be {expected}"),
            Err(error) => problem(setting.kind, text, &error.to_string()),
        };
        self.fault(setting, problem);
        None
    }

    fn default_of<T: FromStr>(&mut self, setting: &Setting) -> Option<T> {
        let default = setting.default.text()?;
        let value = default.parse().ok();
        if value.is_none() {
            let problem = format!("has the default \"{default}\", which is invalid: this is a bug");
            self.fault(setting, problem);
        }
        value
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

/// Describes an invalid value. A text that is no URL may contain a password anywhere, and
/// the parser's error may quote it.
fn problem(kind: Kind, text: &str, error: &str) -> String {
    let expected = kind.expected();
    let is_harmless = matches!(kind, Kind::UrlList { .. });
    let shown = match kind {
        Kind::Url { .. } | Kind::UrlList { .. } => try_redact_url(text),
        _ => redact_value(text),
    };
    match shown {
        Some(shown) if shown == text || is_harmless => {
            format!("is \"{shown}\", but must be {expected} ({error})")
        }
        Some(shown) => format!("is \"{shown}\", but must be {expected}"),
        None if is_harmless => {
            format!("is not a valid URL ({error}); it must be {expected}")
        }
        None => format!("is not a valid URL; it must be {expected}"),
    }
}

#[cfg(test)]
mod tests;
