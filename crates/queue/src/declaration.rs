//! Declaration of an endpoint: its name, lanes and event patterns, as consumers
//! store them for later ones.

use std::{fmt, str::FromStr};

use wahook_domain::{EndpointName, EventPattern, InvalidLaneCount, LaneCount, Lanes};

/// Endpoint with its lanes and event patterns. The text form is the name, `lanes=N` if
/// it has ordered lanes or `shared=N` if it has shared ones, and the patterns, with spaces
/// between.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Declaration {
    pub endpoint: EndpointName,
    pub lanes: Option<Lanes>,
    pub patterns: Vec<EventPattern>,
}

/// Word before the number of ordered lanes. An equals sign follows, which no event pattern has.
const ORDERED: &str = "lanes";
/// Word before the number of shared lanes.
const SHARED: &str = "shared";

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
        let lanes = words.peek().and_then(|word| lanes_of(word)).transpose();
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
        match self.lanes {
            Some(Lanes::Ordered(count)) => write!(f, " {ORDERED}={count}")?,
            Some(Lanes::Shared(count)) => write!(f, " {SHARED}={count}")?,
            None => {}
        }
        for pattern in &self.patterns {
            write!(f, " {pattern}")?;
        }
        Ok(())
    }
}

/// Reads a word with a number of lanes; `None` for any other word.
fn lanes_of(word: &str) -> Option<Result<Lanes, InvalidLaneCount>> {
    let (kind, count) = word.split_once('=')?;
    let count = LaneCount::from_str(count);
    match kind {
        ORDERED => Some(count.map(Lanes::Ordered)),
        SHARED => Some(count.map(Lanes::Shared)),
        _ => None,
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
            "crm shared=4 *",
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
            "crm shared=65 *",
            "crm lane=2 *",
            "{\"endpoint\":1}",
        ] {
            assert_eq!(text.parse::<Declaration>(), Err(InvalidDeclaration));
        }
    }
}
