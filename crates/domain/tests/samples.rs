//! The samples match the documented format.

use std::collections::HashSet;

use wahook_domain::{
    EventBody, EventId, Ingest, KnownEvent, UnixMillis, Validation, ingest, samples,
};

#[test]
fn each_known_event_has_a_sample_that_passes_strictly_and_unchanged() {
    let mut seen = HashSet::new();
    for sample in samples() {
        let context = Ingest {
            validation: Validation::Strict,
            now: UnixMillis::new(0),
            idempotency_key: None,
        };
        let event = ingest(sample.as_bytes(), context, || panic!("no fresh id")).unwrap();
        assert_eq!(event.warnings, []);
        assert_eq!(event.body.as_bytes(), sample.as_bytes());
        assert_eq!(event.id, EventId::for_body(&event.body));
        assert!(seen.insert(event.name.known().unwrap()));
    }
    assert_eq!(seen, HashSet::from(KnownEvent::ALL));
}

/// Gateways and receivers detect repeats by the id, so it must not depend on the
/// version of this crate.
#[test]
fn the_id_of_a_body_never_changes() {
    let body = EventBody::check(samples().next().unwrap().into()).unwrap();
    assert_eq!(
        EventId::for_body(&body).as_str(),
        "dbda87c9-9c65-5a3a-adb6-ca91ad45acb1"
    );
}
