//! Bodies as gateways sent them, kept for endpoints that receive these.

use axum::body::Bytes;
use wahook_domain::{AcceptedEvent, EventBody, Fault, json};

/// Largest estimate of the parse tree of a body that is kept, in bytes: consumers parse it
/// again, for its canonical form, without a memory budget.
const MOST_TREE_BYTES: usize = 64 << 20;

/// Returns the body as the gateway sent it, unless it is the canonical one. The bytes have been
/// part of the memory budget since they were read.
pub(crate) fn exact_body(raw: &Bytes, event: &mut AcceptedEvent) -> Option<EventBody> {
    if raw == event.body.as_bytes() {
        return None;
    }
    if json::tree_bytes(raw) > MOST_TREE_BYTES {
        let message = "has too many values to be kept as it was sent: endpoints with body exact get the canonical form";
        event.warnings.push(Fault::new("", message));
        return None;
    }
    Some(EventBody::as_received(raw.clone()))
}

#[cfg(test)]
mod tests {
    use wahook_domain::{EventId, Ingest, UnixMillis, Validation, ingest};

    use super::*;

    /// Returns the kept body, and the number of warnings.
    fn kept(raw: &str) -> (Option<EventBody>, usize) {
        let context = Ingest {
            validation: Validation::Lenient,
            now: UnixMillis::new(0),
            idempotency_key: None,
        };
        let raw = Bytes::copy_from_slice(raw.as_bytes());
        let fresh = || EventId::parse("fresh").unwrap();
        let mut event = ingest(&raw, context, fresh).unwrap();
        (exact_body(&raw, &mut event), event.warnings.len())
    }

    #[test]
    fn only_a_body_that_differs_from_the_canonical_one_is_kept() {
        let canonical = r#"{"event":"ping","data":{},"timestamp":"2024-10-01"}"#;
        assert_eq!(kept(canonical), (None, 0));
        for other in [r#"{"event":"ping"}"#, &format!("{canonical}\n")] {
            let (exact, warnings) = kept(other);
            assert_eq!(exact.unwrap().as_bytes(), other.as_bytes());
            assert_eq!(warnings, 0);
        }
    }

    #[test]
    fn a_large_text_is_kept_and_a_body_of_too_many_values_is_not() {
        let event = |data: &str| format!(r#"{{"event":"ping", "data":{{"d":{data}}}}}"#);
        let text = format!("\"{}\"", "x".repeat(2 << 20));
        assert!(kept(&event(&text)).0.is_some());
        let values = format!("[{}]", "1,".repeat(1 << 20) + "1");
        assert_eq!(kept(&event(&values)), (None, 1));
    }
}
