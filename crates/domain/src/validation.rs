//! Strictness of event validation.

use std::{fmt, str::FromStr};

/// Treatment of events whose data differs from the documented format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// Accepted with warnings.
    #[default]
    Lenient,
    /// Rejected.
    Strict,
}

/// Text that is neither `lenient` nor `strict`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be lenient or strict")]
pub struct InvalidValidation;

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lenient => "lenient",
            Self::Strict => "strict",
        })
    }
}

impl FromStr for Validation {
    type Err = InvalidValidation;

    fn from_str(text: &str) -> Result<Self, InvalidValidation> {
        match text {
            "lenient" => Ok(Self::Lenient),
            "strict" => Ok(Self::Strict),
            _ => Err(InvalidValidation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validation_is_named_in_lower_case() {
        for (name, validation) in [
            ("lenient", Validation::Lenient),
            ("strict", Validation::Strict),
        ] {
            assert_eq!(name.parse(), Ok(validation));
            assert_eq!(validation.to_string(), name);
        }
        assert_eq!("Strict".parse::<Validation>(), Err(InvalidValidation));
    }
}
