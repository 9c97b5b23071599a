use super::*;

const ORIGIN: &str = r#"{"source":"shop","session":"s1","received":{"contentType":"text/plain"}}"#;

/// Metadata with every field that has an AMQP form.
fn full() -> MessageMetadata {
    MessageMetadata {
        id: EventId::parse("evt-1").ok(),
        event: EventName::parse("message_ack").ok(),
        attempt: AttemptNumber::new(3),
        accepted_at: Some(UnixMillis::new(1_727_784_000_123)),
        redriven_at: Some(UnixMillis::new(1_727_784_000_999)),
        is_exact: true,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        propagated: Propagated::of(Some("v=1".into()), Some("user=%41;p, b=2".into())),
        origin: Origin::from_json(ORIGIN).map(Arc::new),
        key: OrderKey::parse("c:shop/s1/1@c.us").ok(),
        is_redelivery: true,
        auto_redrives: 2,
        endpoint: EndpointName::parse("crm").ok(),
        reason: Some("answered 500: \u{fc} \u{1f600}".into()),
        is_outage: Some(false),
        dead_at: Some(UnixMillis::new(1_727_784_035_001)),
        death: Some(Death {
            queue: Some("wahook.deliver.crm".into()),
            reason: "delivery_limit".into(),
            at: Some(UnixMillis::new(1_727_784_036_000)),
        }),
        result: Some("{}".into()),
        parked: None,
        defect: None,
    }
}

fn with_header(name: &str, value: AMQPValue) -> BasicProperties {
    let properties = encode(full(), None);
    let mut headers = properties.headers().clone().unwrap();
    headers.insert(name.into(), value);
    properties.with_headers(headers)
}

#[test]
fn metadata_is_decoded_unchanged() {
    assert_eq!(decode(&encode(full(), None)), full());
    let empty = MessageMetadata::default();
    assert_eq!(decode(&encode(empty.clone(), None)), empty);
}

#[test]
fn parked_events_keep_their_metadata_and_markers_are_no_events() {
    let event = Parked::Event {
        behind: EventId::parse("head").unwrap(),
        may_repeat: true,
    };
    let metadata = |parked| MessageMetadata { parked, ..full() };
    let properties = encode(metadata(Some(event.clone())), None);
    assert_eq!(decode(&properties), full());
    assert_eq!(parked(&properties), Some(event));
    assert_eq!(marker(&properties), None);
    let token = EventId::parse("token").unwrap();
    let sent = crate::Outgoing::marker("wahook.lane.1.0.crm", token.clone());
    let properties = encode(sent.metadata().clone(), None);
    assert_eq!(marker(&properties), Some(token));
    assert!(decode_event(&properties, sent.payload().clone()).is_err());
    assert_eq!(marker(&encode(full(), None)), None);
    assert_eq!(marker(&encode(MessageMetadata::default(), None)), None);
}

#[test]
fn a_message_is_persistent_and_has_its_id_type_time_and_expiration() {
    let properties = encode(full(), Some(Duration::from_millis(7_001)));
    assert_eq!(properties.delivery_mode(), &Some(PERSISTENT));
    assert_eq!(properties.content_type(), &Some("application/json".into()));
    assert_eq!(properties.message_id(), &Some("evt-1".into()));
    assert_eq!(properties.kind(), &Some("message_ack".into()));
    assert_eq!(properties.timestamp(), &Some(1_727_784_000));
    assert_eq!(properties.expiration(), &Some("7001".into()));
    assert_eq!(encode(full(), None).expiration(), &None);
}

#[test]
fn a_message_of_another_version_or_with_a_malformed_header_is_poison() {
    let of = |properties: &BasicProperties| {
        let payload = br#"{"event":"call","data":{},"timestamp":"2024-10-01T12:00:00.000Z"}"#;
        decode_event(properties, Bytes::from_static(payload)).unwrap_err()
    };
    let none = BasicProperties::default();
    assert_eq!(of(&none), Poison::Missing("x-wahook-version"));
    let other = with_header(header::VERSION, AMQPValue::LongLongInt(2));
    assert_eq!(of(&other), Poison::Version(2));
    let soon = AMQPValue::LongString("soon".into());
    for (name, value) in [
        (header::ATTEMPT, AMQPValue::LongLongInt(0)),
        (header::FIRST_PUBLISHED, soon.clone()),
        (header::REDRIVEN, soon.clone()),
        (header::ORIGIN, soon),
    ] {
        assert_eq!(of(&with_header(name, value)), Poison::Missing(name));
    }
    let no_id = encode(full(), None).with_message_id("not an id".into());
    assert_eq!(of(&no_id), Poison::Missing("message_id"));
}

#[test]
fn key_is_one_header_and_a_malformed_one_is_none() {
    let properties = encode(full(), None);
    let key = AMQPValue::LongString("c:shop/s1/1@c.us".into());
    assert_eq!(header(&properties, "x-key"), Some(&key));
    for malformed in [
        AMQPValue::LongString("".into()),
        AMQPValue::LongString("1@c.us".into()),
        AMQPValue::LongString(vec![b'c', b':', 0xff].into()),
        AMQPValue::LongLongInt(1),
    ] {
        let metadata = decode(&with_header(header::KEY, malformed));
        let expected = MessageMetadata {
            key: None,
            ..full()
        };
        assert_eq!(metadata, expected);
    }
}

#[test]
fn mark_of_an_outage_is_a_boolean_and_anything_else_is_none() {
    for (value, expected) in [
        (AMQPValue::Boolean(true), Some(true)),
        (AMQPValue::LongLongInt(1), None),
        (AMQPValue::LongString("true".into()), None),
    ] {
        let metadata = decode(&with_header(header::OUTAGE, value));
        assert_eq!(metadata.is_outage, expected);
    }
}

#[test]
fn a_dead_letter_shows_an_invalid_id_and_name() {
    let properties = BasicProperties::default()
        .with_message_id("not an id".into())
        .with_type("Not a name".into());
    let dead_letter = decode_dead_letter(&properties, Bytes::new());
    assert_eq!(dead_letter.id.as_deref(), Some("not an id"));
    assert_eq!(dead_letter.event.as_deref(), Some("Not a name"));
    assert!(dead_letter.reason.starts_with("undecodable"));
}

#[test]
fn a_missing_or_empty_record_of_a_move_is_accepted() {
    assert_eq!(last_death(&BasicProperties::default()), None);
    let entry = AMQPValue::FieldTable(FieldTable::default());
    let empty = with_header(header::DEATHS, AMQPValue::FieldArray(vec![entry].into()));
    assert_eq!(last_death(&empty), Some(Death::default()));
    let none = with_header(header::DEATHS, AMQPValue::FieldArray(Vec::new().into()));
    assert_eq!(last_death(&none), None);
}

#[test]
fn context_of_a_request_is_in_headers_of_its_own_and_a_malformed_one_is_none() {
    let properties = encode(full(), None);
    let text = |text: &str| AMQPValue::LongString(text.into());
    assert_eq!(header(&properties, "tracestate"), Some(&text("v=1")));
    assert_eq!(
        header(&properties, "baggage"),
        Some(&text("user=%41;p, b=2"))
    );
    let metadata = decode(&with_header(header::BAGGAGE, AMQPValue::LongLongInt(1)));
    let tracestate = Some("v=1".to_owned());
    assert_eq!(metadata.propagated, Propagated::of(tracestate, None));
}
