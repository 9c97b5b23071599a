//! How much an event may differ from what is documented.

use std::{fmt, str::FromStr};

/// What happens to events whose data differs from the documented one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// They are accepted, with warnings.
    #[default]
    Lenient,
    /// They are rejected.
    Strict,
}

/// The text names no kind of validation.
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
    fn validation_is_named_in_small_letters() {
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
