//! What does an event of a row look like, and which one is it?

/// The id of a row's event, which is also its idempotency key.
pub(crate) fn id(row: &str, number: u64) -> String {
    format!("{row}_{number}")
}

/// The row and the number that an id was made of.
pub(crate) fn parse(id: &str) -> Option<(&str, u64)> {
    let (row, number) = id.rsplit_once('_')?;
    Some((row, number.parse().ok()?))
}

/// The canonical body: what is sent to the producer is what has to arrive, to the byte.
pub(crate) fn body(row: &str, number: u64) -> String {
    // What is easily broken on the way: escapes, characters of two, three and four bytes.
    format!(
        r#"{{"event":"message_create","data":{{"row":"{row}","n":{number},"body":"\u0007 \"é\" ✓ 😀 \\"}},"timestamp":"2026-01-01T00:00:00.000Z"}}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_row_and_number() {
        assert_eq!(parse(&id("broker-kill", 17)), Some(("broker-kill", 17)));
        assert_eq!(parse("0190a1b2"), None);
    }
}
