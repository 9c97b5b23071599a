//! Faults of the settings, as shown to the operator.

use std::fmt;

/// Fault of one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    name: String,
    problem: String,
    example: Option<String>,
}

/// All faults, displayed one per line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFaults(Vec<SettingFault>);

impl SettingFault {
    pub(super) fn new(name: &str, problem: impl Into<String>, example: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            problem: problem.into(),
            example: example.map(str::to_owned),
        }
    }

    /// Returns the name of the faulty variable.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl SettingsFaults {
    pub(super) fn new(faults: Vec<SettingFault>) -> Self {
        Self(faults)
    }

    /// Reports a reader that returned no result and recorded no fault, which is a bug.
    pub(crate) fn unexplained(program: &str) -> Self {
        Self(vec![SettingFault::new(
            program,
            "could not read its settings and reported no fault: this is a bug",
            None,
        )])
    }

    /// Iterates over the faults in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &SettingFault> {
        self.0.iter()
    }
}

impl fmt::Display for SettingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.problem)?;
        match &self.example {
            Some(example) => write!(f, "; for example {}={example}", self.name),
            None => Ok(()),
        }
    }
}

impl fmt::Display for SettingsFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsFaults {}
