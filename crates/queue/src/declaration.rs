//! Declaration of an endpoint: its name, lanes and event patterns, as consumers
//! store them for later ones.

use std::{fmt, str::FromStr};

use wahook_domain::{EndpointName, EventPattern, LaneCount};

/// Endpoint with its lanes and event patterns. The text form is the name, `lanes=N` if
/// it has lanes, and the patterns, with spaces between.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declaration {
    pub endpoint: EndpointName,
    pub lanes: Option<LaneCount>,
    pub patterns: Vec<EventPattern>,
}

/// Start of the word with the number of lanes; no event pattern has it.
const LANES: &str = "lanes=";

/// Text that is no declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of an endpoint and its event patterns")]
pub struct InvalidDeclaration;

impl FromStr for Declaration {
    type Err = InvalidDeclaration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split(' ').peekable();
        let endpoint = words.next().ok_or(InvalidDeclaration)?;
        let endpoint = EndpointName::parse(endpoint).map_err(|_| InvalidDeclaration)?;
        let lanes = words.peek().and_then(|word| word.strip_prefix(LANES));
        let lanes = lanes.map(LaneCount::from_str).transpose();
        let lanes = lanes.map_err(|_| InvalidDeclaration)?;
        if lanes.is_some() {
            words.next();
        }
        let patterns = words.map(EventPattern::from_str);
        let patterns = patterns.collect::<Result<_, _>>();
        Ok(Self {
            endpoint,
            lanes,
            patterns: patterns.map_err(|_| InvalidDeclaration)?,
        })
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)?;
        if let Some(lanes) = self.lanes {
            write!(f, " {LANES}{lanes}")?;
        }
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
        for text in [
            "crm message_* call",
            "crm lanes=4 *",
            "default *",
            "removed",
        ] {
            let declaration: Declaration = text.parse().unwrap();
            assert_eq!(declaration.to_string(), text);
        }
        for text in [
            "",
            "CRM *",
            "crm  *",
            "crm mess*",
            "crm lanes=0 *",
            "crm * lanes=2",
            "{\"endpoint\":1}",
        ] {
            assert_eq!(text.parse::<Declaration>(), Err(InvalidDeclaration));
        }
    }
}
