use super::*;

mod simulation;

/// Smallest time.
const STEP: Duration = Duration::from_millis(25);
const POLL_EVERY: Duration = Duration::from_millis(375);

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn owner_of(lanes: impl IntoIterator<Item = usize>) -> LaneBalance {
    let mut balance = LaneBalance::default();
    for lane in lanes {
        balance.own(lane, s(0));
    }
    balance
}

/// Returns the lane that is given up after a surplus was found often enough.
fn polled(balance: &mut LaneBalance, lanes: usize, members: u32, now: Duration) -> Option<usize> {
    for _ in 1..SURPLUS_POLLS {
        assert_eq!(balance.poll(lanes, members, now), None);
    }
    balance.poll(lanes, members, now)
}

#[test]
fn lanes_are_shared_among_consumers() {
    let shares = [0, 1, 2, 3, 5, 20].map(|consumers| share(12, consumers));
    assert_eq!(shares, [12, 12, 6, 4, 3, 1]);
}

#[test]
fn surplus_is_given_up_one_lane_after_another_once_some_polls_have_found_it() {
    let mut balance = owner_of(0..12);
    let now = KEPT_FOR;
    assert_eq!(polled(&mut balance, 12, 3, now), Some(11));
    // While attempts of the first one are in flight.
    for lane in (4..11).rev() {
        assert_eq!(balance.poll(12, 3, now), Some(lane));
    }
    assert_eq!(balance.poll(12, 3, now), None);
    (4..12).for_each(|lane| balance.end(lane, now));
    assert_eq!(balance.poll(12, 3, now), None);
    assert!(balance.owns(3) && !balance.owns(4));
}

#[test]
fn earlier_lanes_do_not_count() {
    let mut balance = owner_of([0, 64, 65]);
    assert_eq!(polled(&mut balance, 2, 2, KEPT_FOR), None);
    assert_eq!(balance.poll(2, 2, s(60)), None);
}

#[test]
fn new_lane_is_given_up_only_once_its_redelivered_events_have_started() {
    let mut balance = owner_of([0, 1]);
    balance.own(2, s(2));
    balance.own(3, s(2));
    assert_eq!(polled(&mut balance, 4, 2, s(2)), Some(1));
    balance.end(1, s(2));
    assert_eq!(balance.poll(4, 2, s(3)), Some(0));
    assert_eq!(balance.poll(4, 2, s(4)), None);
}

#[test]
fn only_consumer_keeps_all_lanes_also_while_no_consumer_is_counted() {
    let mut balance = owner_of(0..4);
    for members in [0, 1, 1, 0, 0, 1, 1, 1] {
        assert_eq!(balance.poll(4, members, s(60)), None);
    }
}

/// Returns the times between the give-ups of an owner to which each lane comes back at once.
fn rests(balance: &mut LaneBalance, start: Duration, give_ups: usize) -> Vec<u64> {
    let mut times = Vec::new();
    let mut now = start;
    while times.len() < give_ups {
        if let Some(lane) = balance.poll(12, 2, now) {
            balance.end(lane, now);
            balance.own(lane, now);
            times.push(now);
        }
        now += POLL_EVERY;
    }
    times
        .windows(2)
        .map(|two| (two[1] - two[0]).as_secs())
        .collect()
}

#[test]
fn rest_after_a_lane_that_comes_back_grows_and_is_short_again_after_a_quiet_time_or_a_change() {
    let mut balance = owner_of(0..12);
    assert_eq!(rests(&mut balance, s(2), 7), [1, 2, 4, 8, 10, 10]);
    // The others subscribe at last.
    let mut now = s(100);
    assert_eq!(balance.poll(12, 2, now), Some(11));
    balance.end(11, now);
    now += QUIET;
    assert_eq!(rests(&mut balance, now, 4), [1, 2, 4]);
    // Another consumer comes.
    assert!(balance.poll(12, 3, now + s(10)).is_some());
}

#[test]
fn lanes_that_come_back_together_begin_one_rest() {
    let mut balance = owner_of(0..12);
    assert_eq!(polled(&mut balance, 12, 2, s(2)), Some(11));
    assert_eq!(balance.poll(12, 2, s(2)), Some(10));
    for lane in [10, 11] {
        balance.end(lane, s(2));
        balance.own(lane, s(2));
    }
    assert_eq!(balance.poll(12, 2, s(3) - STEP), None);
    // One lane is tried first.
    assert_eq!(balance.poll(12, 2, s(3)), Some(9));
    assert_eq!(balance.poll(12, 2, s(5)), None);
    balance.end(9, s(5));
    assert_eq!(balance.poll(12, 2, s(6) - STEP), None);
    assert_eq!(balance.poll(12, 2, s(6)), Some(11));
    assert_eq!(balance.poll(12, 2, s(6)), Some(10));
}

#[test]
fn lane_that_another_consumer_has_given_up_as_well_slows_the_next_ones_down() {
    let mut balance = owner_of(0..4);
    assert_eq!(polled(&mut balance, 4, 2, s(2)), Some(3));
    balance.end(3, s(2));
    balance.own(3, s(5));
    assert_eq!(balance.poll(4, 2, s(6) - STEP), None);
    assert_eq!(balance.poll(4, 2, s(6)), Some(2));
    assert_eq!(balance.poll(4, 2, s(7) - STEP), None);
    assert_eq!(balance.poll(4, 1, s(7)), None);
    // With another number of consumers nothing is known.
    assert_eq!(polled(&mut balance, 4, 4, s(7)), Some(3));
    assert_eq!(balance.poll(4, 4, s(7)), Some(1));
    balance.end(3, s(7));
    assert_eq!(balance.poll(4, 3, s(8)), None);
    balance.own(3, s(9));
    assert_eq!(polled(&mut balance, 4, 4, s(9)), Some(0));
}
