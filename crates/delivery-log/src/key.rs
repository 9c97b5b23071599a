//! Keys of records (`_id`).

use wahook_domain::{EndpointName, EventId};

/// Returns the key of a record.
#[must_use]
pub fn record_key(id: &EventId, endpoint: &EndpointName) -> String {
    [id.as_str(), "/", endpoint.as_str()].concat()
}

/// Parses the key of a record; `None` if it is not that of a delivery.
#[must_use]
pub fn parse_record_key(key: &str) -> Option<(EventId, EndpointName)> {
    let (id, endpoint) = key.split_once('/')?;
    Some((
        EventId::parse(id).ok()?,
        EndpointName::parse(endpoint).ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_of_a_delivery_is_parsed_and_any_other_is_not() {
        let id = EventId::parse("e1").unwrap();
        let key = record_key(&id, &EndpointName::default());
        assert_eq!(parse_record_key(&key), Some((id, EndpointName::default())));
        for foreign in ["", "e1", "/default", "e1/", "e1/a/b", "65f0c0ffee"] {
            assert_eq!(parse_record_key(foreign), None, "{foreign}");
        }
    }
}
