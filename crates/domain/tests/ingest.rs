//! Whatever a gateway sends, it is refused or it becomes a canonical event.

use proptest::{collection::vec, prelude::*};
use wahook_domain::{
    AcceptedEvent, CanonicalBody, EventId, Ingest, Rejection, UnixMillis, Validation, ingest,
    samples,
};

fn take(raw: &[u8], validation: Validation) -> Result<AcceptedEvent, Rejection> {
    let context = Ingest {
        validation,
        now: UnixMillis::new(0),
        idempotency_key: None,
    };
    ingest(raw, context, || EventId::from(uuid::Uuid::nil()))
}

/// Refused with a reason that fits, or a body that stays as it is when it is
/// taken again or read from the queue.
fn check(raw: &[u8]) -> Result<(), TestCaseError> {
    let event = match take(raw, Validation::Lenient) {
        Ok(event) => event,
        Err(Rejection::NotJson(fault)) => {
            prop_assert!(fault.offset <= raw.len());
            return Ok(());
        }
        Err(Rejection::Invalid(faults)) => {
            prop_assert!(!faults.is_empty());
            return Ok(());
        }
    };
    let again = take(event.body.as_bytes(), Validation::Lenient);
    prop_assert_eq!(again.as_ref().map(|again| &again.body), Ok(&event.body));
    prop_assert_eq!(CanonicalBody::check(event.body.bytes()), Ok(event.body));
    // Strict validation accepts the same event or none.
    if let Ok(strict) = take(raw, Validation::Strict) {
        prop_assert_eq!(Ok(strict.body), again.map(|again| again.body));
    }
    Ok(())
}

/// A real event in which some bytes are replaced, inserted or removed.
fn damaged_event() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<&'static str> = samples().collect();
    let hostile = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"{}[]\",:\\u0eE+-.\0 \n".to_vec()),
    ];
    let damage = (any::<prop::sample::Index>(), 0..3_u8, hostile);
    (prop::sample::select(samples), vec(damage, 0..4)).prop_map(|(sample, damages)| {
        let mut bytes = sample.as_bytes().to_vec();
        for (place, kind, byte) in damages {
            let place = place.index(bytes.len());
            match kind {
                0 => bytes.insert(place, byte),
                1 => drop(bytes.splice(place..=place, [byte])),
                _ => drop(bytes.remove(place)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_are_refused_or_become_canonical(raw in vec(any::<u8>(), 0..200)) {
        check(&raw)?;
    }

    #[test]
    fn a_damaged_event_is_refused_or_becomes_canonical(raw in damaged_event()) {
        check(&raw)?;
    }
}
