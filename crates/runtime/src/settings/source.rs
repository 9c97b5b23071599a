//! Sources of settings: the environment, `.env` below it, and the files that
//! `NAME_FILE` names.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    ffi::OsString,
    fs, io,
    path::Path,
};

use super::fault::SettingFault;

/// Variables as given. A value that is not UTF-8 is `None`: a fault only if it is
/// looked up.
#[derive(Debug)]
pub(super) struct Source {
    values: BTreeMap<String, Option<String>>,
    /// Variables whose value comes from the `.env` file.
    dotenv: BTreeSet<String>,
}

impl Source {
    pub(super) fn of_environment(pairs: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()))
        };
        Self {
            values: pairs.filter_map(text).collect(),
            dotenv: BTreeSet::new(),
        }
    }

    /// Adds variables of a `.env` file that the environment does not set. A variable
    /// that is empty in the environment stays unset, so that a line of the file can be
    /// disabled.
    pub(super) fn fill_up_from(&mut self, dotenv: &Path) -> Vec<SettingFault> {
        let file = dotenv.display().to_string();
        let text = match fs::read_to_string(dotenv) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
            Err(error) => {
                return vec![SettingFault::new(
                    &file,
                    format!("cannot be read: {error}"),
                    None,
                )];
            }
        };
        let text = text.trim_start_matches('\u{feff}');
        let mut faults = Vec::new();
        for line in dotenvy::from_read_iter(text.as_bytes()) {
            match line {
                Ok((name, value)) => {
                    if let Entry::Vacant(vacant) = self.values.entry(name) {
                        self.dotenv.insert(vacant.key().clone());
                        vacant.insert(Some(value));
                    }
                }
                Err(error) => faults.push(malformed(&file, text, &error)),
            }
        }
        faults
    }

    /// Returns the value of `NAME`, or of the file that `NAME_FILE` names.
    pub(super) fn value(&self, name: &str) -> Result<Option<String>, SettingFault> {
        let pointer = pointer(name);
        match (self.given(name)?, self.given(&pointer)?) {
            (Some(_), Some(_)) => {
                let problem = format!("is set together with {pointer}: keep one of the two");
                Err(SettingFault::new(name, problem, None))
            }
            (Some(value), None) => Ok(Some(value.to_owned())),
            (None, Some(path)) => read_value(path)
                .map(Some)
                .map_err(|problem| SettingFault::new(&pointer, problem, None)),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn outrank(&mut self, name: &str, value: String) {
        self.values.remove(&pointer(name));
        self.assume(name, value);
    }

    pub(super) fn assume(&mut self, name: &str, value: String) {
        self.dotenv.remove(name);
        self.values.insert(name.to_owned(), Some(value));
    }

    pub(super) fn is_in_dotenv(&self, name: &str) -> bool {
        self.dotenv.contains(name)
    }

    /// Returns the names of all variables that are set and not empty.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let is_set = |(_, value): &(_, &Option<String>)| value.as_deref() != Some("");
        self.values
            .iter()
            .filter(is_set)
            .map(|(name, _)| name.as_str())
    }

    fn given(&self, name: &str) -> Result<Option<&str>, SettingFault> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Some(value)) => Ok(Some(value.as_str()).filter(|value| !value.is_empty())),
            Some(None) => Err(SettingFault::new(name, "is not UTF-8 text", None)),
        }
    }
}

/// Returns the name of the variable that names a file with the value.
pub(super) fn pointer(name: &str) -> String {
    format!("{name}_FILE")
}

/// Reads a file without the final line end that editors and `echo` add.
fn read_value(path: &str) -> Result<String, String> {
    let text =
        fs::read_to_string(path).map_err(|e| format!("names {path}, which cannot be read: {e}"))?;
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        Err(format!("names {path}, which is empty"))
    } else {
        Ok(value.to_owned())
    }
}

/// Describes a malformed line by its number, without quoting it: it may contain the
/// secret.
fn malformed(file: &str, text: &str, error: &dotenvy::Error) -> SettingFault {
    let dotenvy::Error::LineParse(line, _) = error else {
        return SettingFault::new(file, format!("cannot be read: {error}"), None);
    };
    // dotenvy returns the whole line or only its value, and no number.
    let end = line.lines().next().unwrap_or_default();
    let place = match text
        .lines()
        .position(|line| !end.is_empty() && line.ends_with(end))
    {
        Some(index) => format!("line {}", index + 1),
        None => "has a line that".to_owned(),
    };
    let problem =
        format!("{place} is not NAME=value (quote a value that contains spaces or quotes)");
    SettingFault::new(file, problem, None)
}

#[cfg(test)]
mod hostile;
