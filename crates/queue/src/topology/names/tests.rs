use super::*;

#[test]
fn endpoint_is_read_from_the_names_of_its_work_queue_and_lanes() {
    let crm = EndpointName::parse("crm").unwrap();
    let lanes = LaneCount::new(4).unwrap();
    let queues: Vec<_> = lane_queues(&crm, lanes).collect();
    assert_eq!(queues.len(), 4);
    assert_eq!(queues[3], "wahook.lane.4.3.crm");
    for queue in queues.iter().chain([&work_queue(&crm)]) {
        assert_eq!(endpoint_of(queue), Some(crm.clone()), "{queue}");
    }
    assert!(is_lane(&queues[0]) && !is_lane(&work_queue(&crm)));
    assert_eq!(shared_queue(&crm, lanes, 0), work_queue(&crm));
    let shared: Vec<_> = further_queues(&crm, lanes).collect();
    assert_eq!(shared[2], "wahook.deliver.4.3.crm");
    assert_eq!(queues_of_lanes(&crm, Lanes::Shared(lanes)), shared);
    for queue in &shared {
        assert_eq!(endpoint_of(queue), Some(crm.clone()), "{queue}");
        assert!(!is_lane(queue), "{queue}");
    }
    let slots = slot_queues(&queues[3]);
    assert_eq!(
        (slots.len(), slots[1].as_str()),
        (4, "wahook.park.4.3.1.crm")
    );
    assert!(slots.iter().all(|slot| is_lane(slot)));
    assert!(
        slots
            .iter()
            .all(|slot| endpoint_of(slot) == Some(crm.clone()))
    );
    assert!(slot_queues(&slots[0]).is_empty() && slot_queues(&work_queue(&crm)).is_empty());
    assert_eq!(
        ordered_queues(&crm, lanes).nth(5).as_ref(),
        Some(&queues[1])
    );
    for other in [
        "wahook.dead",
        "wahook.lanes",
        "wahook.lane.4.4.crm",
        "wahook.deliver.4.0.crm",
        "wahook.deliver.4.4.crm",
        "wahook.deliver.4.crm",
        "wahook.lane.65.1.crm",
        "wahook.lane.crm",
        "wahook.park.4.3.4.crm",
        "wahook.park.4.4.0.crm",
        "wahook.park.4.3.crm",
    ] {
        assert_eq!(endpoint_of(other), None, "{other}");
        assert!(!is_lane(other), "{other}");
    }
}
