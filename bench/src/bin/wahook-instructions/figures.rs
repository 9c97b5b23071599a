//! What was committed, and is it still so?

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, anyhow};
use toml::de::{DeTable, DeValue};

use crate::path::Path;

/// What a figure may be off, up or down, in percent.
pub(crate) const TOLERANCE_PERCENT: u64 = 5;

const HEAD: &str = "\
# Instructions of one 400-byte event, without sockets and servers (docs/hot-path.md). `make
# instructions` fails where one is more than 5 % off; `make instructions-renew` writes them.
";

/// Instructions by path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Whose code was counted, as it calls itself.
    pub(crate) compiler: String,
    by_path: BTreeMap<Path, u64>,
}

impl Figures {
    /// None yet.
    pub(crate) fn of(compiler: String) -> Self {
        Self {
            compiler,
            by_path: BTreeMap::new(),
        }
    }

    pub(crate) fn put(&mut self, path: Path, instructions: u64) {
        self.by_path.insert(path, instructions);
    }

    pub(crate) fn get(&self, path: Path) -> anyhow::Result<u64> {
        let instructions = self.by_path.get(&path).copied();
        instructions.with_context(|| {
            let name = path.name();
            format!("there is no figure for {name}; make instructions-renew writes it")
        })
    }

    /// Reads what [`Figures::fmt`] wrote.
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let table = DeTable::parse(text)?;
        let value = |key: &str| table.get_ref().get(key).map(toml::Spanned::get_ref);
        let Some(DeValue::String(compiler)) = value("compiler") else {
            return Err(anyhow!("there must be a text `compiler`"));
        };
        let mut figures = Self::of(compiler.to_string());
        for path in Path::ALL {
            if let Some(DeValue::Integer(integer)) = value(path.name()) {
                figures.put(path, integer.as_str().parse()?);
            }
        }
        Ok(figures)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}compiler = {:?}", self.compiler)?;
        for (path, instructions) in &self.by_path {
            writeln!(f, "{} = {instructions}", path.name())?;
        }
        Ok(())
    }
}

/// How a count stands to its figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Held,
    /// Above it, by so many percent.
    Dearer(f64),
    /// Below it: also to be committed, or it could be lost again unnoticed.
    Cheaper(f64),
}

impl Verdict {
    pub(crate) fn of(committed: u64, counted: u64) -> Self {
        let off = committed.abs_diff(counted);
        if off.saturating_mul(100) <= committed.saturating_mul(TOLERANCE_PERCENT) {
            return Self::Held;
        }
        #[expect(clippy::cast_precision_loss, reason = "for people, to a tenth")]
        let percent = 100.0 * off as f64 / committed.max(1) as f64;
        if counted > committed {
            Self::Dearer(percent)
        } else {
            Self::Cheaper(percent)
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held => f.write_str("held"),
            Self::Dearer(percent) => write!(f, "{percent:.1} % more"),
            Self::Cheaper(percent) => write!(f, "{percent:.1} % less"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_percent_either_way_are_held() {
        for counted in [9_500, 10_000, 10_500] {
            assert_eq!(Verdict::of(10_000, counted), Verdict::Held);
        }
        assert!(matches!(Verdict::of(10_000, 10_501), Verdict::Dearer(_)));
        assert!(matches!(Verdict::of(10_000, 9_499), Verdict::Cheaper(_)));
        assert!(matches!(Verdict::of(0, 1), Verdict::Dearer(_)));
    }

    #[test]
    fn what_is_written_is_read() {
        let mut figures = Figures::of("rustc 1.95.0 (59807616e 2026-04-14)".to_owned());
        figures.put(Path::Accept, 17);
        let read = Figures::parse(&figures.to_string()).unwrap();
        assert_eq!(read, figures);
        let missing = read.get(Path::Retry).unwrap_err().to_string();
        assert!(missing.contains("make instructions-renew"), "{missing}");
    }
}
