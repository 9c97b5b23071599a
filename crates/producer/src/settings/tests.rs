use super::*;

fn read(pairs: &[(&'static str, &'static str)]) -> Result<EventServiceSettings, String> {
    let mut settings = Settings::from_pairs(pairs.iter().copied());
    let read = ProducerSettings::read(&mut settings);
    settings.finish().map_err(|faults| faults.to_string())?;
    Ok(read.unwrap().events)
}

#[test]
fn only_the_broker_address_is_required_and_defaults_are_as_documented() {
    let settings = read(&[("AMQP_URL", "amqp://127.0.0.1")]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.max_body_bytes, 15_728_640);
    assert_eq!(settings.memory_budget_bytes, 268_435_456);
    assert_eq!(settings.metrics_listen, None);
    assert!(settings.tokens.is_empty());
}

#[test]
fn budget_must_hold_the_largest_event() {
    let broker = ("AMQP_URL", "amqp://127.0.0.1");
    let budget = ("PRODUCER_MEMORY_BUDGET_BYTES", "8000000");
    let refused = read(&[broker, budget]).unwrap_err();
    for part in [budget.0, "62914560", "PRODUCER_MAX_BODY_BYTES=15728640"] {
        assert!(refused.contains(part), "{part} in {refused}");
    }
    let largest = ("PRODUCER_MAX_BODY_BYTES", "2000000");
    assert!(read(&[broker, budget, largest]).is_ok());
}

#[test]
fn a_reachable_address_requires_a_token() {
    let open = [
        ("AMQP_URL", "amqp://127.0.0.1"),
        ("PRODUCER_LISTEN", "0.0.0.0:8080"),
    ];
    let refused = read(&open).unwrap_err();
    assert!(refused.contains("PRODUCER_TOKEN"), "{refused}");
    let guarded = [
        open[0],
        open[1],
        ("PRODUCER_TOKEN", "a-token-of-good-length"),
    ];
    assert!(!read(&guarded).unwrap().tokens.is_empty());
}

#[test]
fn every_fault_is_reported_at_once_with_its_variable_and_an_example() {
    let faults = read(&[
        ("PRODUCER_LISTEN", "8080"),
        ("PRODUCER_TOKEN", "short"),
        ("PRODUCER_MAX_BODY_BYTES", "1"),
        ("PRODUCER_VALIDATION", "loose"),
    ])
    .unwrap_err();
    for expected in [
        "AMQP_URL",
        AMQP_URL.example,
        "PRODUCER_LISTEN",
        "0.0.0.0:8080",
        "PRODUCER_TOKEN",
        "PRODUCER_MAX_BODY_BYTES",
        "PRODUCER_VALIDATION",
    ] {
        assert!(
            faults.contains(expected),
            "{expected} is missing in:\n{faults}"
        );
    }
}
