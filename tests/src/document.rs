//! Document with the results of earlier runs, one part for each version of the broker.

use std::path::Path;

use anyhow::Context;

const BEGIN: &str = "<!-- generated: ";
const END: &str = "<!-- end -->";

/// Reads a document, and returns it with new content in the part of this name.
pub fn filled(path: &Path, name: &str, content: &str) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).map_err(anyhow::Error::from);
    let filled = text.and_then(|text| with_part(&text, name, content));
    filled.with_context(|| path.display().to_string())
}

/// Returns the document with new content in the part of this name. The rest stays as it is.
fn with_part(document: &str, name: &str, content: &str) -> anyhow::Result<String> {
    let begin = format!("{BEGIN}{name} -->");
    let (before, after) = document
        .split_once(&begin)
        .with_context(|| format!("no part {begin}"))?;
    let (_, after) = after
        .split_once(END)
        .with_context(|| format!("no {END} after {begin}"))?;
    Ok(format!("{before}{begin}\n\n{content}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = "\
# Results

<!-- generated: RabbitMQ 4.3 -->

old
<!-- end -->

Text.

<!-- generated: RabbitMQ 3.10 -->

older
<!-- end -->

More text.
";

    #[test]
    fn only_the_part_of_this_name_is_replaced() {
        let filled = with_part(DOCUMENT, "RabbitMQ 4.3", "new\n").unwrap();
        assert_eq!(filled, DOCUMENT.replace("old\n", "new\n\n"));
        let filled = with_part(DOCUMENT, "RabbitMQ 3.10", "new").unwrap();
        assert_eq!(filled, DOCUMENT.replace("older", "new"));
    }

    #[test]
    fn missing_part_is_an_error() {
        assert!(with_part(DOCUMENT, "RabbitMQ 4.2", "").is_err());
        assert!(with_part("<!-- generated: a -->\n", "a", "").is_err());
    }
}
