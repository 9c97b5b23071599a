//! Places in a JSON text.

use std::{fmt, str::FromStr};

use wahook_domain::json::{MAX_DEPTH, Text};

/// JSON pointer (RFC 6901) below the root. A step `*` matches every member and item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<Step>,
}

/// Text that is not a JSON pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPointer {
    #[error("must begin with '/', like /data/key")]
    NoSlash,
    #[error("has a '~' without 0 or 1 after it: write '~' as ~0 and '/' within a name as ~1")]
    Escape,
    /// Deeper than any text that is accepted.
    #[error("has more than {MAX_DEPTH} steps")]
    TooDeep,
}

/// Step of a pointer into a member or item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Any,
    To {
        key: Text<'static>,
        index: Option<usize>,
    },
}

impl Pointer {
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl FromStr for Pointer {
    type Err = InvalidPointer;

    fn from_str(text: &str) -> Result<Self, InvalidPointer> {
        let steps = text.strip_prefix('/').ok_or(InvalidPointer::NoSlash)?;
        let steps: Vec<_> = steps
            .split('/')
            .map(Step::parse)
            .collect::<Result<_, _>>()?;
        if steps.len() > usize::from(MAX_DEPTH) {
            return Err(InvalidPointer::TooDeep);
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Step {
    fn parse(text: &str) -> Result<Self, InvalidPointer> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let mut pieces = text.split('~');
        let mut key = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            match piece.split_at_checked(1) {
                Some(("0", rest)) => key = key + "~" + rest,
                Some(("1", rest)) => key = key + "/" + rest,
                _ => return Err(InvalidPointer::Escape),
            }
        }
        // An index has no sign and no leading zero.
        let index = key.parse().ok();
        Ok(Self::To {
            index: index.filter(|index: &usize| index.to_string() == key),
            key: Text::owned(&key),
        })
    }

    pub(super) fn is_key(&self, found: &Text<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::To { key, .. } => key == found,
        }
    }

    pub(super) fn is_index(&self, found: usize) -> bool {
        match self {
            Self::Any => true,
            Self::To { index, .. } => *index == Some(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointer_is_parsed_and_shown() {
        for text in ["/apikey", "/a/0/*/b", "/", "/a~1b/~0", "/á \"\\/x"] {
            assert_eq!(text.parse::<Pointer>().unwrap().to_string(), text);
        }
        let pointer: Pointer = "/a~1~01/0/-1/é".parse().unwrap();
        assert!(pointer.steps[0].is_key(&Text::new("a/~1")));
        assert!(pointer.steps[1].is_index(0) && pointer.steps[1].is_key(&Text::new("0")));
        assert!(!pointer.steps[2].is_index(1));
    }

    #[test]
    fn invalid_pointer_is_refused() {
        for (text, error) in [
            ("", InvalidPointer::NoSlash),
            ("apikey", InvalidPointer::NoSlash),
            ("#/apikey", InvalidPointer::NoSlash),
            ("/a~", InvalidPointer::Escape),
            ("/a~2", InvalidPointer::Escape),
            ("/~é", InvalidPointer::Escape),
            (&"/a".repeat(65), InvalidPointer::TooDeep),
        ] {
            assert_eq!(text.parse::<Pointer>(), Err(error), "{text}");
        }
        assert!("/a".repeat(64).parse::<Pointer>().is_ok());
    }
}
