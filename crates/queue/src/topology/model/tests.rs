use super::*;
use crate::topology::endpoint::DELIVERY_LIMIT;
use wahook_domain::RetryRule;

fn deliveries() -> Topology {
    let endpoint = EndpointName::default();
    let steps = RetryRule::new(3, 5_000).unwrap().wait_steps();
    Topology::deliveries(
        [(&endpoint, [EventPattern::Every].as_slice(), None)],
        &steps,
    )
}

fn of(patterns: &[&str]) -> Topology {
    let patterns: Vec<_> = patterns.iter().map(|text| text.parse().unwrap()).collect();
    let endpoint = EndpointName::default();
    Topology::deliveries([(&endpoint, patterns.as_slice(), None)], &[])
}

fn keys(bindings: &[Binding]) -> Vec<(&str, &str)> {
    let events = bindings.iter().filter(|b| !b.key.is_empty());
    events
        .map(|b| (b.exchange.as_str(), b.key.as_str()))
        .collect()
}

#[test]
fn a_filter_is_bound_before_its_queue_and_the_unwanted_queue_after_all_filters() {
    let topology = of(&["ready", "message_*"]);
    let expected = [
        ("wahook.filters", "ready"),
        ("wahook.filters", "message._.#"),
        ("wahook.events", "ready"),
        ("wahook.events", "message._.#"),
        ("wahook.known", "message._.create"),
        ("wahook.known", "message._.ack"),
        ("wahook.known", "message._.revoke._.everyone"),
        ("wahook.known", "message._.reaction"),
        ("wahook.known", "ready"),
    ];
    assert_eq!(keys(&topology.bindings), expected);
    let last = topology.bindings.last().unwrap();
    assert_eq!(last.to, Target::Queue(UNWANTED.to_owned()));
}

#[test]
fn a_replacement_removes_other_bindings_and_keeps_the_queues() {
    let before = of(&["ready", "message_*"]);
    let after = of(&["ready", "call"]).replacing(&before);
    let gone = [
        ("wahook.filters", "message._.#"),
        ("wahook.events", "message._.#"),
        ("wahook.known", "message._.create"),
        ("wahook.known", "message._.ack"),
        ("wahook.known", "message._.revoke._.everyone"),
        ("wahook.known", "message._.reaction"),
    ];
    assert_eq!(keys(&after.obsolete), gone);
    assert_eq!(after.queues, before.queues);
    // Earlier obsolete bindings stay obsolete; those of "ready" are new.
    let again = of(&["call"]).replacing(&after);
    assert_eq!(keys(&again.obsolete).len(), gone.len() + 3);
    let back = of(&["message_*"]).replacing(&again);
    let gone = keys(&back.obsolete);
    assert!(
        gone.iter().all(|(_, key)| *key != "message._.#"),
        "{gone:?}"
    );
}

#[test]
fn every_delay_has_one_wait_queue_that_republishes_with_confirms() {
    let topology = deliveries();
    for delay in [5_000, 10_000, 20_000] {
        let name = format!("wahook.wait.{delay}");
        let queue = topology.queues.iter().find(|q| q.name == name).unwrap();
        for wanted in [
            ("x-message-ttl", Argument::Number(delay)),
            ("x-dead-letter-exchange", Argument::Text("")),
            ("x-dead-letter-strategy", Argument::Text("at-least-once")),
            ("x-overflow", Argument::Text("reject-publish")),
        ] {
            assert!(queue.arguments.contains(&wanted), "{name}: {wanted:?}");
        }
        assert!(
            topology
                .exchanges
                .iter()
                .any(|e| e.name == name && e.kind == Kind::Fanout)
        );
        let to = Target::Queue(name.clone());
        assert_eq!(topology.bindings.iter().filter(|b| b.to == to).count(), 1);
    }
}

#[test]
fn a_work_queue_dead_letters_messages_that_kill_consumers() {
    let topology = deliveries();
    let queue = topology
        .queues
        .iter()
        .find(|q| q.name == "wahook.deliver.default")
        .unwrap();
    assert!(
        queue
            .arguments
            .contains(&("x-dead-letter-routing-key", Argument::Text(DEAD_QUEUE)))
    );
    assert!(
        queue
            .arguments
            .contains(&("x-delivery-limit", Argument::Number(DELIVERY_LIMIT)))
    );
}

#[test]
fn the_producer_declares_no_queue() {
    let topology = Topology::events();
    assert!(topology.queues.is_empty() && topology.bindings.is_empty());
}

fn with_lanes(lanes: u8) -> Topology {
    let endpoint = EndpointName::parse("crm").unwrap();
    let patterns: Vec<_> = ["ready", "my_*"].map(|text| text.parse().unwrap()).into();
    let lanes = LaneCount::new(lanes).map(Lanes::Ordered);
    Topology::deliveries([(&endpoint, patterns.as_slice(), lanes)], &[])
}

#[test]
fn a_lane_has_a_single_active_consumer_and_no_reachable_delivery_limit() {
    let topology = with_lanes(3);
    let lanes = (0..3).map(|lane| format!("wahook.lane.3.{lane}.crm"));
    let slots = (0..4).map(|slot| format!("wahook.park.3.2.{slot}.crm"));
    for name in lanes.chain(slots) {
        let queue = topology.queues.iter().find(|q| q.name == name).unwrap();
        for wanted in [
            ("x-single-active-consumer", Argument::Flag(true)),
            ("x-delivery-limit", Argument::Number(NO_DELIVERY_LIMIT)),
            ("x-dead-letter-routing-key", Argument::Text(DEAD_QUEUE)),
            ("x-overflow", Argument::Text("reject-publish")),
        ] {
            assert!(queue.arguments.contains(&wanted), "{name}: {wanted:?}");
        }
    }
}

#[test]
fn the_first_lane_is_bound_as_a_work_queue_is_and_the_work_queue_no_longer() {
    let of_queue = |bindings: &[Binding], queue: &str| {
        let to = Target::Queue(queue.to_owned());
        let of_queue = bindings.iter().filter(|b| b.to == to);
        let of_queue = of_queue.map(|b| (b.exchange.clone(), b.key.clone()));
        of_queue.collect::<Vec<_>>()
    };
    let work = "wahook.deliver.crm";
    let endpoint = EndpointName::parse("crm").unwrap();
    let patterns: Vec<_> = ["ready", "my_*"].map(|text| text.parse().unwrap()).into();
    let plain = Topology::deliveries([(&endpoint, patterns.as_slice(), None)], &[]);
    let bound = of_queue(&plain.bindings, work);
    assert_eq!(bound.len(), 3);
    for lanes in [1, 4] {
        let topology = with_lanes(lanes);
        let first = format!("wahook.lane.{lanes}.0.crm");
        assert_eq!(of_queue(&topology.bindings, &first)[..3], bound);
        assert_eq!(of_queue(&topology.bindings, work), []);
        assert_eq!(of_queue(&topology.obsolete, work), bound);
        assert!(topology.queues.iter().any(|queue| queue.name == work));
    }
}

#[test]
fn earlier_lanes_keep_their_queues_and_lose_only_bindings_that_are_not_needed() {
    let endpoint = EndpointName::parse("crm").unwrap();
    let patterns: Vec<_> = ["ready", "my_*"].map(|text| text.parse().unwrap()).into();
    let one = Lanes::Ordered(LaneCount::ONE);
    for lanes in [None, LaneCount::new(2).map(Lanes::Ordered)] {
        let needed = Topology::deliveries([(&endpoint, patterns.as_slice(), lanes)], &[]);
        let earlier = Topology::earlier_lanes(&endpoint, &patterns, one, &needed);
        let names: Vec<_> = earlier.queues.iter().map(|queue| &queue.name).collect();
        assert_eq!((names.len(), names[0].as_str()), (5, "wahook.lane.1.0.crm"));
        assert_eq!(names[4], "wahook.park.1.0.3.crm");
        let lane = Target::Queue("wahook.lane.1.0.crm".to_owned());
        assert!(earlier.obsolete.iter().any(|binding| binding.to == lane));
        for binding in &earlier.obsolete {
            assert!(!needed.bindings.contains(binding), "{lanes:?}: {binding:?}");
        }
    }
}

#[test]
fn first_topology_replaces_none_and_keeps_the_routing_by_key() {
    let topology = with_lanes(3);
    assert!(topology.keyed.is_some());
    assert_eq!(topology.clone().replacing(&Topology::default()), topology);
}

#[test]
fn a_shared_lane_is_a_work_queue_and_keeps_its_messages_without_it() {
    let endpoint = EndpointName::parse("crm").unwrap();
    let patterns = [EventPattern::Every];
    let of = |lanes| Topology::deliveries([(&endpoint, patterns.as_slice(), lanes)], &[]);
    let lanes = Lanes::Shared(LaneCount::new(3).unwrap());
    let shared = of(Some(lanes));
    let arguments = |name: &str| {
        let queue = shared.queues.iter().find(|queue| queue.name == name);
        &queue.unwrap().arguments
    };
    let further = ["wahook.deliver.3.1.crm", "wahook.deliver.3.2.crm"];
    for name in further {
        assert_eq!(arguments(name), arguments("wahook.deliver.crm"), "{name}");
    }
    let earlier = Topology::earlier_lanes(&endpoint, &patterns, lanes, &of(None));
    let kept: Vec<_> = earlier.queues.iter().map(|queue| &queue.name).collect();
    assert_eq!(kept, further);
}
