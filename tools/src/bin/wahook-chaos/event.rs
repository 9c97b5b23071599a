//! Ids and bodies of the events of a row.

/// Returns the id of an event, which is also its idempotency key.
pub(crate) fn id(row: &str, number: u64) -> String {
    format!("{row}_{number}")
}

/// Returns the row and the number in an id.
pub(crate) fn parse(id: &str) -> Option<(&str, u64)> {
    let (row, number) = id.rsplit_once('_')?;
    Some((row, number.parse().ok()?))
}

/// Returns the canonical body. The webhook must receive exactly these bytes.
pub(crate) fn body(row: &str, number: u64) -> String {
    // Escapes and characters of two, three and four bytes, which are easily damaged.
    format!(
        r#"{{"event":"message_create","data":{{"row":"{row}","n":{number},"body":"\u0007 \"é\" ✓ 😀 \\"}},"timestamp":"2026-01-01T00:00:00.000Z"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_is_parsed_to_its_row_and_number() {
        assert_eq!(parse(&id("broker-kill", 17)), Some(("broker-kill", 17)));
        assert_eq!(parse("0190a1b2"), None);
    }
}
