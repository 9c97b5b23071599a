use super::*;

fn of(endpoints: &[(&str, &str, Option<u8>)]) -> Topology {
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(name, patterns, lanes)| {
            let patterns = patterns.split(' ').map(|text| text.parse().unwrap());
            let lanes = lanes.and_then(LaneCount::new).map(Lanes::Ordered);
            let name = EndpointName::parse(name).unwrap();
            (name, patterns.collect::<Vec<EventPattern>>(), lanes)
        })
        .collect();
    let endpoints = endpoints.iter().map(|(n, p, l)| (n, p.as_slice(), *l));
    Topology::deliveries(endpoints, &[])
}

fn key(event: &str) -> String {
    routing_key(&EventName::parse(event).unwrap())
}

fn by_key<'a>(topology: &'a Topology, bucket: u8, event: &str) -> Vec<&'a str> {
    let keyed = &topology.keyed.as_ref().unwrap().topology;
    let mut queues = keyed.route(KEYED_EXCHANGE, &keyed_key(bucket, event));
    queues.sort_unstable();
    queues
}

fn keyed_key(bucket: u8, event: &str) -> String {
    keyed(bucket, &key(event))
}

#[test]
fn an_event_reaches_one_lane_of_each_ordered_endpoint_and_each_other_queue_once() {
    let topology = of(&[
        ("crm", "* message_*", Some(4)),
        ("erp", "message_* order.*", Some(3)),
        ("single", "message_ack order.made", Some(1)),
        ("plain", "* message_ack", None),
    ]);
    // A known event, and one of a gateway.
    for event in ["message_ack", "order.made"] {
        for bucket in 0..BUCKETS {
            let expected = [
                "wahook.deliver.plain".to_owned(),
                "wahook.lane.1.0.single".to_owned(),
                format!("wahook.lane.3.{}.erp", bucket % 3),
                format!("wahook.lane.4.{}.crm", bucket % 4),
            ];
            assert_eq!(
                by_key(&topology, bucket, event),
                expected,
                "{event} {bucket}"
            );
        }
    }
    for (event, only) in [("call", 2), ("other", 2), ("message_poll", 3)] {
        assert_eq!(by_key(&topology, 63, event).len(), only, "{event}");
    }
}

#[test]
fn an_unwanted_event_is_not_routed_by_key() {
    let topology = of(&[("crm", "message_*", Some(2)), ("plain", "ready", None)]);
    for event in ["call", "order.made"] {
        assert!(by_key(&topology, 7, event).is_empty(), "{event}");
        let unwanted = topology.route("wahook.filters", &key(event));
        assert_eq!(unwanted, ["wahook.unwanted"], "{event}");
    }
    assert!(topology.route("wahook.filters", &key("ready")).is_empty());
}

#[test]
fn a_publish_without_a_key_reaches_the_first_lane() {
    let topology = of(&[("crm", "*", Some(4)), ("plain", "*", None)]);
    let both = ["wahook.lane.4.0.crm", "wahook.deliver.plain"];
    for (exchange, event) in [("wahook.known", "call"), ("wahook.events", "order.made")] {
        assert_eq!(topology.route(exchange, &key(event)), both);
    }
}

#[test]
fn routing_by_key_is_needed_from_two_lanes_on_and_announced_last() {
    for (lanes, is_needed) in [(None, false), (Some(1), false), (Some(2), true)] {
        let topology = of(&[("plain", "*", None), ("crm", "*", lanes)]);
        let keyed = topology.keyed.unwrap();
        assert_eq!(keyed.is_needed, is_needed, "{lanes:?}");
        let last = keyed.topology.bindings.last().unwrap();
        assert_eq!(
            (last.exchange.as_str(), &last.to),
            (LANES, &Target::Queue(LANES.to_owned()))
        );
    }
}

#[test]
fn another_number_of_lanes_replaces_the_bindings_and_keeps_those_of_other_endpoints() {
    let before = of(&[
        ("crm", "message_ack", Some(2)),
        ("plain", "message_ack", None),
    ]);
    let after = of(&[
        ("crm", "message_ack", Some(4)),
        ("plain", "message_ack", None),
    ]);
    let mut known = before.keyed.clone().unwrap().topology;
    known.absorb(&after.replacing(&before).keyed.unwrap().topology);
    for bucket in 0..BUCKETS {
        let lane = format!("wahook.lane.4.{}.crm", bucket % 4);
        let mut queues = known.route(KEYED_EXCHANGE, &keyed_key(bucket, "message_ack"));
        queues.sort_unstable();
        assert_eq!(queues, ["wahook.deliver.plain", lane.as_str()]);
    }
}

#[test]
fn an_unbound_endpoint_receives_no_events_by_key_and_others_do() {
    let crm = EndpointName::parse("crm").unwrap();
    let plain = EndpointName::parse("plain").unwrap();
    let patterns = ["*".parse().unwrap()];
    let topology = of(&[("crm", "*", Some(2)), ("plain", "*", None)]);
    for (endpoint, lanes, left) in [
        (
            &crm,
            LaneCount::new(2).map(Lanes::Ordered),
            ["wahook.deliver.plain"; 2],
        ),
        (&plain, None, ["wahook.lane.2.1.crm"; 2]),
    ] {
        let mut known = topology.keyed.clone().unwrap().topology;
        let unbound = Topology::unbound(endpoint, &patterns, lanes);
        known.absorb(&unbound.keyed.unwrap().topology);
        for (event, left) in ["message_ack", "order.made"].iter().zip(left) {
            assert_eq!(known.route(KEYED_EXCHANGE, &keyed_key(1, event)), [left]);
        }
    }
}

fn shared(lanes: u8) -> Topology {
    let crm = EndpointName::parse("crm").unwrap();
    let patterns = ["*".parse().unwrap()];
    let lanes = LaneCount::new(lanes).map(Lanes::Shared);
    Topology::deliveries([(&crm, patterns.as_slice(), lanes)], &[])
}

#[test]
fn an_event_reaches_one_of_the_shared_lanes_and_without_a_key_the_work_queue() {
    let topology = shared(3);
    for event in ["message_ack", "order.made"] {
        for bucket in 0..BUCKETS {
            let expected = match bucket % 3 {
                0 => "wahook.deliver.crm".to_owned(),
                lane => format!("wahook.deliver.3.{lane}.crm"),
            };
            assert_eq!(by_key(&topology, bucket, event), [expected], "{event}");
        }
    }
    for (exchange, event) in [("wahook.known", "call"), ("wahook.events", "order.made")] {
        assert_eq!(
            topology.route(exchange, &key(event)),
            ["wahook.deliver.crm"]
        );
    }
    assert!(topology.keyed.unwrap().is_needed && !shared(1).keyed.unwrap().is_needed);
}

/// Each topology is declared by a consumer that knows the earlier ones only by their registered
/// declarations.
#[test]
fn an_event_enters_one_queue_after_any_change_of_lanes_and_restart() {
    let crm = EndpointName::parse("crm").unwrap();
    let patterns: [EventPattern; 2] = ["*", "message_*"].map(|text| text.parse().unwrap());
    let of = |lanes| Topology::deliveries([(&crm, patterns.as_slice(), lanes)], &[]);
    let four = LaneCount::new(4).unwrap();
    let all = [
        None,
        Some(Lanes::Shared(four)),
        Some(Lanes::Ordered(four)),
        Some(Lanes::Ordered(LaneCount::ONE)),
        Some(Lanes::Shared(LaneCount::MAX)),
    ];
    for (before, after) in all
        .iter()
        .flat_map(|before| all.map(|after| (before, after)))
    {
        let needed = of(after);
        let mut known = Topology::events();
        let mut keyed = Topology::default();
        let mut declare = |topology: &Topology| {
            known.absorb(topology);
            keyed.absorb(&topology.keyed.as_ref().unwrap().topology);
        };
        declare(&of(*before));
        declare(&needed);
        if let Some(before) = before
            && Some(*before) != after
        {
            let earlier = Topology::earlier_lanes(&crm, &patterns, *before, &needed);
            declare(&earlier);
        }
        for (exchange, event) in [("wahook.known", "message_ack"), ("wahook.events", "a.b")] {
            let queues = known.route(exchange, &key(event));
            assert_eq!(queues.len(), 1, "{before:?} {after:?} {queues:?}");
            for bucket in 0..BUCKETS {
                let queues = keyed.route(KEYED_EXCHANGE, &keyed_key(bucket, event));
                let expected = match after {
                    None => work_queue(&crm),
                    Some(lanes) => queue_of_bucket(&crm, lanes, bucket),
                };
                assert_eq!(queues, [expected], "{before:?} {after:?}");
            }
        }
    }
}
