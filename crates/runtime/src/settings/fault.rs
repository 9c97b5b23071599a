//! What is wrong with the settings, for the operator who has to mend them.

use std::fmt;

/// What is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingFault {
    name: String,
    problem: String,
    example: Option<String>,
}

/// Everything that is wrong, one line each.
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

    /// The variable at fault.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl SettingsFaults {
    pub(super) fn new(faults: Vec<SettingFault>) -> Self {
        Self(faults)
    }

    /// A reader gave no result and noted no fault, which is a defect of its own.
    pub(crate) fn unexplained(program: &str) -> Self {
        Self(vec![SettingFault::new(
            program,
            "read no settings and did not say why",
            None,
        )])
    }

    /// The faults in the order in which they were found.
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
