use super::*;

mod model;

fn key(text: &str) -> OrderKey {
    OrderKey::sent(text).unwrap()
}

fn id(number: usize) -> EventId {
    EventId::parse(&format!("event-{number}")).unwrap()
}

#[test]
fn parked_key_returns_to_the_lane_once_a_barrier_proves_its_slot_empty() {
    let mut parking = Parking::new(1);
    assert_eq!(parking.park(key("a"), id(0)), Some(0));
    let place = parking.place(&key("a")).unwrap();
    assert_eq!((place.slot, place.behind()), (0, Some(&id(0))));
    assert_eq!(parking.park(key("b"), id(1)), None, "no slot is free");
    assert_eq!(parking.next_barrier(|_| false), None, "events are held");
    assert_eq!(parking.next_barrier(|_| true), Some(0));
    assert_eq!(parking.next_barrier(|_| true), None, "one at a time");
    // An event was sent after the barrier.
    parking.moved(0);
    assert!(!parking.barrier_received(0, true));
    assert_eq!(parking.next_barrier(|_| true), Some(0));
    // An event was received before the barrier.
    assert!(!parking.barrier_received(0, false));
    assert_eq!(parking.next_barrier(|_| true), Some(0));
    assert_eq!(parking.parked(), 1);
    assert!(parking.barrier_received(0, true));
    assert_eq!((parking.parked(), parking.place(&key("a"))), (0, None));
    assert_eq!(parking.park(key("b"), id(1)), Some(0));
}

#[test]
fn new_owner_explores_slots_until_their_barriers_return_or_they_fill_its_memory() {
    let mut parking = Parking::new(3);
    parking.explore(0);
    parking.explore(2);
    assert!(parking.is_exploring());
    parking.found(2, &key("a"), &id(7));
    parking.found(2, &key("a"), &id(8));
    parking.found(2, &key("b"), &id(9));
    parking.filled(2);
    parking.found(2, &key("c"), &id(10));
    assert!(parking.is_exploring());
    assert!(!parking.barrier_received(0, true));
    assert!(!parking.is_exploring());
    let place = parking.place(&key("a")).unwrap();
    let follows = [7, 8, 9].map(|number| place.follows(&id(number)));
    assert_eq!(follows, [true, true, false]);
    assert_eq!(parking.place(&key("b")).unwrap().slot, 2);
    assert_eq!(parking.place(&key("c")), None);
    // The barrier of the filled slot is still in it.
    assert_eq!(parking.park(key("c"), id(11)), Some(1));
    assert_eq!(parking.next_barrier(|slot| slot == 2), None);
    assert!(!parking.barrier_received(2, true));
    assert_eq!(parking.next_barrier(|slot| slot == 2), Some(2));
}

#[test]
fn slot_with_strays_parks_no_key() {
    let mut parking = Parking::new(1);
    parking.read_strays(0);
    parking.found(0, &key("a"), &id(0));
    assert!(!parking.is_exploring());
    assert_eq!((parking.parked(), parking.park(key("b"), id(1))), (0, None));
    assert!(!parking.barrier_received(0, true));
    assert_eq!(parking.next_barrier(|_| true), Some(0));
    assert!(parking.barrier_received(0, true));
    assert_eq!(parking.park(key("b"), id(1)), Some(0));
}

#[test]
fn key_with_strays_in_another_slot_is_parked_where_more_of_its_events_are_left() {
    for filled in [None, Some(0), Some(1)] {
        let mut parking = Parking::new(2);
        parking.explore(0);
        parking.explore(1);
        parking.found(0, &key("a"), &id(1));
        parking.found(1, &key("a"), &id(2));
        parking.found(1, &key("b"), &id(3));
        for slot in [0, 1] {
            if filled == Some(slot) {
                parking.filled(slot);
            } else {
                parking.barrier_received(slot, false);
            }
        }
        assert!(!parking.is_exploring());
        let place = parking.place(&key("a")).unwrap();
        assert!(place.follows(&id(1)) && place.follows(&id(2)));
        parking.explored();
        let place = parking.place(&key("a")).map(|place| place.slot);
        assert_eq!(place, filled);
        assert_eq!(parking.place(&key("b")).unwrap().slot, 1);
    }
}
