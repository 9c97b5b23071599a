//! Effective settings in a form that may be shown.

use std::fmt;

use super::redact::{REDACTED, redact_value};

/// Variable with its effective value. Secrets and the logins in URLs are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    pub name: String,
    /// Value, or the default if the variable is not set.
    pub value: String,
}

impl Effective {
    pub(super) fn of(name: &str, value: Option<&str>) -> Self {
        let value = match value {
            None => "(not set)".to_owned(),
            Some(text) => redact_value(text).unwrap_or_else(|| REDACTED.to_owned()),
        };
        Self {
            name: name.to_owned(),
            value,
        }
    }

    pub(super) fn of_secret(name: &str, is_set: bool) -> Self {
        Self::of(name, is_set.then_some(REDACTED))
    }
}

impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}
