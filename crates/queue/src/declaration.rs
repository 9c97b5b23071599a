//! Declaration of an endpoint: its name and its event patterns, as consumers
//! store them for later ones.

use std::{fmt, str::FromStr};

use wahook_domain::{EndpointName, EventPattern};

/// Endpoint with its event patterns. The text form is the name and the patterns,
/// with spaces between.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declaration {
    pub endpoint: EndpointName,
    pub patterns: Vec<EventPattern>,
}

/// Text that is no declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an endpoint and its event patterns")]
pub struct InvalidDeclaration;

impl FromStr for Declaration {
    type Err = InvalidDeclaration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(' ');
        let endpoint = words.next().ok_or(InvalidDeclaration)?;
        let endpoint = EndpointName::parse(endpoint).map_err(|_| InvalidDeclaration)?;
        let patterns = words.map(EventPattern::from_str);
        let patterns = patterns.collect::<Result<_, _>>();
        Ok(Self {
            endpoint,
            patterns: patterns.map_err(|_| InvalidDeclaration)?,
        })
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)?;
        for pattern in &self.patterns {
            write!(f, " {pattern}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_read_as_it_was_written() {
        for text in ["crm message_* call", "default *", "removed"] {
            let declaration: Declaration = text.parse().unwrap();
            assert_eq!(declaration.to_string(), text);
        }
        for text in ["", "CRM *", "crm  *", "crm mess*", "{\"endpoint\":1}"] {
            assert_eq!(text.parse::<Declaration>(), Err(InvalidDeclaration));
        }
    }
}
