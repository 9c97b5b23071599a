//! Reader for the ids of events that a gateway recorded as accepted.

use anyhow::{Context, bail};
use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufRead, BufReader, stdin},
    path::Path,
};
use wahook_domain::EventId;

/// Reads one id per line, from standard input for `-`. Skips empty lines; a repeated id
/// counts once. Takes about 100 bytes per id.
pub(super) fn read(path: &Path) -> anyhow::Result<BTreeSet<EventId>> {
    if path.as_os_str() == "-" {
        return parse(stdin().lock(), "standard input");
    }
    let name = path.display().to_string();
    let file = File::open(path).with_context(|| format!("--accepted {name}"))?;
    parse(BufReader::new(file), &name)
}

fn parse(lines: impl BufRead, name: &str) -> anyhow::Result<BTreeSet<EventId>> {
    let mut ids = BTreeSet::new();
    for (number, line) in (1..).zip(lines.lines()) {
        let line = line.with_context(|| format!("--accepted {name}"))?;
        let text = line.trim();
        if text.is_empty() {
            continue;
        }
        match EventId::parse(text) {
            Ok(id) => ids.insert(id),
            Err(error) => bail!("--accepted {name}, line {number}: an id {error}"),
        };
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_one_per_line_and_deduped() {
        let ids = parse(&b"b\n\n a \r\nb\n"[..], "list").unwrap();
        let ids: Vec<_> = ids.iter().map(EventId::as_str).collect();
        assert_eq!(ids, ["a", "b"]);
    }

    #[test]
    fn an_invalid_id_is_reported_with_its_line() {
        let error = parse(&b"a\n{\"id\": 1}\n"[..], "list").unwrap_err();
        assert!(error.to_string().contains("list, line 2"), "{error}");
    }
}
