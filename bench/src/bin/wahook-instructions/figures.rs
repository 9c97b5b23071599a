//! Committed figures and their comparison with new counts.

use std::{collections::BTreeMap, fmt};

use anyhow::{Context, anyhow};
use toml::de::{DeTable, DeValue};

use crate::path::Path;

/// Allowed deviation of a figure, up or down, in percent.
pub(crate) const TOLERANCE_PERCENT: u64 = 5;

const HEAD: &str = "\
# Instructions per 400-byte event, without sockets and servers (docs/performance/hot-path.md).
# `make instructions` fails if a count deviates by more than 5 %; `make instructions-renew`
# writes this file.
";

/// Instructions per event, by path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Version of the compiler that built the counted code.
    pub(crate) compiler: String,
    by_path: BTreeMap<Path, u64>,
}

impl Figures {
    /// Returns an empty set of figures.
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
            format!("no figure for {name}; run make instructions-renew")
        })
    }

    /// Parses the output of [`Figures::fmt`].
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let table = DeTable::parse(text)?;
        let value = |key: &str| table.get_ref().get(key).map(toml::Spanned::get_ref);
        let Some(DeValue::String(compiler)) = value("compiler") else {
            return Err(anyhow!("the key `compiler` must be a string"));
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

/// Result of comparing a count with its figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    /// Within the tolerance.
    Held,
    /// More instructions than committed, by this percentage.
    Dearer(f64),
    /// Fewer instructions than committed, by this percentage. Fails too: without a new figure
    /// the gain could be lost unnoticed.
    Cheaper(f64),
}

impl Verdict {
    pub(crate) fn of(committed: u64, counted: u64) -> Self {
        let off = committed.abs_diff(counted);
        if off.saturating_mul(100) <= committed.saturating_mul(TOLERANCE_PERCENT) {
            return Self::Held;
        }
        #[expect(clippy::cast_precision_loss, reason = "display only, one decimal")]
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
            Self::Held => f.write_str("ok"),
            Self::Dearer(percent) => write!(f, "{percent:.1} % more"),
            Self::Cheaper(percent) => write!(f, "{percent:.1} % less"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deviation_up_to_five_percent_is_accepted() {
        for counted in [9_500, 10_000, 10_500] {
            assert_eq!(Verdict::of(10_000, counted), Verdict::Held);
        }
        assert!(matches!(Verdict::of(10_000, 10_501), Verdict::Dearer(_)));
        assert!(matches!(Verdict::of(10_000, 9_499), Verdict::Cheaper(_)));
        assert!(matches!(Verdict::of(0, 1), Verdict::Dearer(_)));
    }

    #[test]
    fn printed_figures_are_parsed_unchanged() {
        let mut figures = Figures::of("rustc 1.95.0 (59807616e 2026-04-14)".to_owned());
        figures.put(Path::Accept, 17);
        let read = Figures::parse(&figures.to_string()).unwrap();
        assert_eq!(read, figures);
        let missing = read.get(Path::Retry).unwrap_err().to_string();
        assert!(missing.contains("make instructions-renew"), "{missing}");
    }
}
