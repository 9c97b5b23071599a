use super::*;

const MAX: u64 = 32 << 20;

fn at(seconds: i64) -> UnixMillis {
    UnixMillis::new(seconds * 1000)
}

fn empty() -> Amounts {
    Amounts::new(MAX, Backlog::default(), at(0))
}

#[test]
fn new_events_wait_until_the_last_earlier_one_is_removed() {
    let mut amounts = empty();
    assert!(!amounts.holds_back());
    assert_eq!(amounts.reserve(700, at(9), at(10)), Ok(Reserved::First));
    assert_eq!(amounts.reserve(600, at(10), at(11)), Ok(Reserved::Next));
    assert_eq!((amounts.events(), amounts.bytes()), (2, 1300));
    assert_eq!(amounts.age(at(12)), Duration::from_secs(3));
    assert_eq!(amounts.remove(700, at(13)), None);
    assert!(amounts.holds_back());
    let ended = amounts.remove(600, at(15)).unwrap();
    assert_eq!((ended.events, ended.after), (2, Duration::from_secs(5)));
    assert!(!amounts.holds_back() && amounts.is_empty());
    assert_eq!((amounts.bytes(), amounts.age(at(16))), (0, Duration::ZERO));
    assert_eq!(amounts.reserve(1, at(20), at(20)), Ok(Reserved::First));
}

#[test]
fn full_spool_rejects_until_the_largest_event_has_room() {
    let mut amounts = empty();
    let large = size_of(LARGEST_EVENT);
    amounts.reserve(large, at(0), at(0)).unwrap();
    amounts.reserve(large, at(0), at(0)).unwrap();
    let full = |is_new| {
        Err(Full {
            is_new,
            bytes: 2 * large,
        })
    };
    assert_eq!(amounts.reserve(large, at(1), at(1)), full(true));
    assert_eq!(amounts.reserve(large, at(1), at(1)), full(false));
    assert!(amounts.is_full());
    // Smaller ones that fit are accepted, without an end of the state.
    assert_eq!(amounts.reserve(1, at(1), at(1)), Ok(Reserved::Next));
    assert!(amounts.is_full());
    amounts.remove(large, at(2));
    assert!(!amounts.is_full());
    assert_eq!(amounts.reserve(1, at(2), at(2)), Ok(Reserved::RoomAgain));
    assert_eq!(amounts.reserve(1, at(2), at(2)), Ok(Reserved::Next));
}

#[test]
fn events_of_an_earlier_process_hold_back_new_ones() {
    let backlog = Backlog {
        messages: 2,
        bytes: 300,
        oldest: Some(at(5)),
    };
    let mut amounts = Amounts::new(MAX, backlog, at(10));
    assert!(amounts.holds_back());
    assert_eq!(amounts.bytes(), size_of(100) + size_of(200));
    assert_eq!(amounts.age(at(10)), Duration::from_secs(5));
    amounts.set_oldest(at(8));
    assert_eq!(amounts.age(at(10)), Duration::from_secs(2));
    assert_eq!(amounts.remove(size_of(100), at(11)), None);
    let ended = amounts.remove(size_of(200), at(12)).unwrap();
    assert_eq!((ended.events, ended.after), (2, Duration::from_secs(2)));
}

#[test]
fn events_that_cannot_be_read_hold_back_no_others() {
    let mut amounts = empty();
    amounts.reserve(1, at(0), at(0)).unwrap();
    assert!(!amounts.set_unreadable(true), "it is being written");
    assert!(amounts.holds_back());
    amounts.written();
    assert!(amounts.set_unreadable(true));
    assert!(!amounts.set_unreadable(true));
    assert!(!amounts.holds_back() && !amounts.is_empty());
    assert!(!amounts.set_unreadable(false));
    assert!(amounts.holds_back());
    assert!(amounts.set_unreadable(true));
    amounts.remove(1, at(1));
    amounts.reserve(1, at(2), at(2)).unwrap();
    assert!(amounts.holds_back(), "another event");
}
