//! Effective settings in a form that may be shown.

use std::fmt;

use super::redact::redact_url;

/// Variable with its effective value. Secrets and the passwords in URLs are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    pub name: String,
    /// Value, or the default if the variable is not set.
    pub value: String,
}

impl Effective {
    pub(super) fn of(name: &str, value: Option<&str>) -> Self {
        let value = value.map_or_else(|| "(not set)".to_owned(), redact_url);
        Self {
            name: name.to_owned(),
            value,
        }
    }

    pub(super) fn of_secret(name: &str, is_set: bool) -> Self {
        Self::of(name, is_set.then_some("[redacted]"))
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}
