//! Simulations of whole endpoints: the rules of deliveries against receivers that refuse
//! some events, break, or limit their rate.
#![expect(
    clippy::unwrap_used,
    reason = "clippy's exemption for tests does not cover shared functions"
)]

mod world;

use std::time::Duration;

use world::{Event, World};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Token bucket of a receiver: `rate` requests per second, at most `most` at once.
fn bucket(rate: f64, most: f64, refusal: u16) -> impl FnMut(Duration, &Event) -> u16 {
    let (mut tokens, mut last) = (most, Duration::ZERO);
    move |now, _| {
        tokens = f64::min(most, tokens + rate * (now - last).as_secs_f64());
        last = now;
        if tokens < 1.0 {
            return refusal;
        }
        tokens -= 1.0;
        200
    }
}

#[test]
fn endpoint_that_takes_one_event_in_ten_receives_it_within_seconds() {
    for refusal in [404, 403, 400] {
        let mut world = World::new(move |_, event| match event.name {
            "message_create" => 200,
            _ => refusal,
        });
        for n in 0..540 * 4 {
            let name = if n % 10 == 0 {
                "message_create"
            } else {
                "message_ack"
            };
            world.accept(name, 1);
            world.run_for(Duration::from_millis(250));
        }
        let mut waits: Vec<_> = world
            .delivered
            .iter()
            .map(|delivered| delivered.at - delivered.event.created)
            .collect();
        waits.sort();
        assert_eq!(waits.len(), 216, "{refusal}");
        assert!(waits[213] < s(5), "{:?}", waits[213]);
        assert_eq!(world.pauses, 0, "{refusal}");
        world.drain(s(600));
        assert_eq!(
            world.dead.len(),
            540 * 4 - 216,
            "refused events follow the retry rule"
        );
    }
}

#[test]
fn good_events_after_refused_ones_are_delivered_within_a_minute() {
    for refusal in [400, 404, 401] {
        for pause in [0, 10, 34, 37, 90] {
            let mut world = World::new(move |_, event| match event.name {
                "good" => 200,
                _ => refusal,
            });
            world.accept("bad", 40);
            world.run_for(s(pause));
            world.accept("good", 10);
            world.run_for(s(60));
            assert_eq!(world.delivered.len(), 10, "{refusal} {pause}");
        }
    }
}

#[test]
fn endpoint_that_refuses_everything_is_paused_and_recovers_within_30_seconds() {
    for refusal in [401, 403, 404, 302] {
        let (down, up) = (s(60), s(660));
        let mut world = World::new(move |now, _| {
            if (down..up).contains(&now) {
                refusal
            } else {
                200
            }
        });
        for _ in 0..700 * 4 {
            world.accept("message_ack", 1);
            world.run_for(Duration::from_millis(250));
        }
        assert_eq!(world.pauses, 1, "{refusal}");
        let back = world
            .delivered
            .iter()
            .find(|delivered| delivered.at > up)
            .unwrap();
        assert!(back.at < up + s(30), "{:?}", back.at);
        let in_pause = world.posts_in(down + s(60), up - down - s(60));
        assert!(in_pause < 80, "{in_pause} probes");
        world.drain(s(120));
        assert!(world.dead.is_empty(), "{} dead letters", world.dead.len());
    }
}

#[test]
fn rate_limited_endpoint_receives_everything_at_nearly_its_rate() {
    // A receiver that takes no two requests at once refuses more of them.
    for (most, refusal, limit) in [
        (10.0, 429, s(75)),
        (20.0, 429, s(75)),
        (2.0, 429, s(75)),
        (1.0, 429, s(90)),
        (10.0, 529, s(75)),
    ] {
        let mut world = World::new(bucket(10.0, most, refusal));
        world.accept("message_ack", 600);
        let took = world.drain(limit);
        eprintln!(
            "bucket of {most}, {refusal}: 600 in {took:?}, {} posts",
            world.posts.len()
        );
        assert!(world.dead.is_empty());
        let attempts = world
            .delivered
            .iter()
            .map(|delivered| delivered.attempt)
            .max();
        assert_eq!(attempts, Some(1), "no 429 counts");
        for _ in 0..60 * 20 {
            world.accept("message_ack", 1);
            world.run_for(Duration::from_millis(50));
        }
        world.drain(s(120));
        assert_eq!((world.delivered.len(), world.dead.len()), (1_800, 0));
        assert!(
            world.posts.len() < 1_800 * 5 / 4,
            "{} posts",
            world.posts.len()
        );
    }
}

#[test]
fn rate_recovers_when_the_endpoint_takes_more() {
    let mut slow = bucket(10.0, 10.0, 429);
    let mut fast = bucket(500.0, 500.0, 429);
    let mut world = World::new(move |now, event| {
        if now < s(60) {
            slow(now, event)
        } else {
            fast(now, event)
        }
    });
    world.accept("message_ack", 8_000);
    world.run_for(s(60));
    let took = world.drain(s(90));
    assert!(took < s(90), "{took:?}");
}

#[test]
fn requested_wait_is_respected_by_deliveries_and_probes() {
    let mut world = World::new(move |now, _| if now < s(1_000) { 503 } else { 200 });
    world.accept("message_ack", 1_000);
    world.drain(s(1_400));
    let first = world.posts[0];
    assert_eq!(world.posts_in(first + s(1), s(598)), 0);
    assert_eq!(world.posts_in(first + s(599), s(10)), 1, "one probe");
    assert!(world.dead.is_empty() && world.delivered.len() == 1_000);
}

#[test]
fn endpoint_that_always_answers_429_is_asked_ever_less_often() {
    for refusal in [429, 529] {
        let mut world = World::new(move |_, _| refusal);
        world.accept("message_ack", 1_000);
        world.run_for(s(3_600));
        assert!(world.posts_in(s(600), s(3_000)) <= 12);
        assert!(world.posts.len() < 200, "{}", world.posts.len());
        assert_eq!(world.left(), 1_000);
    }
}

#[test]
fn backlog_returns_at_a_rising_rate() {
    let up = s(100);
    let mut world = World::new(move |now, _| if now < up { 500 } else { 200 });
    world.accept("message_ack", 5_000);
    world.run_for(up);
    world.drain(s(400));
    let back = world.delivered[0].at;
    let rates = [0, 1, 2, 3].map(|n| world.posts_in(back + s(n), s(1)));
    assert!(rates[0] <= 10 && rates.is_sorted(), "{rates:?}");
    assert!(
        rates.windows(2).all(|pair| pair[1] <= pair[0] * 3),
        "{rates:?}"
    );
    assert!(world.now - back < s(20), "{:?}", world.now - back);
}

#[test]
fn two_successes_do_not_make_a_storm() {
    let mut good = 0;
    let mut world = World::new(move |now, _| {
        if now < s(60) || good == 2 {
            return 500;
        }
        good += 1;
        200
    });
    world.accept("message_ack", 5_000);
    world.run_for(s(60));
    while world.delivered.is_empty() {
        world.run_for(Duration::from_millis(100));
    }
    let back = world.now;
    world.run_for(s(10));
    assert!(world.is_paused());
    let posts = world.posts_in(back, s(10));
    assert!(posts < 40, "{posts}");
}

#[test]
fn retries_of_many_events_are_spread() {
    let mut world = World::new(move |now, _| if now < s(1) { 404 } else { 200 });
    world.accept("message_ack", 400);
    world.drain(s(10));
    for ms in 4_500..6_000 {
        let posts = world.posts_in(Duration::from_millis(ms), Duration::from_millis(40));
        assert!(posts <= 60, "{posts} posts within 40 ms");
    }
    let early = world.posts_in(s(1), s(4));
    assert_eq!(early, 0, "no retry is early");
}

#[test]
fn removed_endpoint_is_paused_after_a_few_events() {
    let mut world = World::new(|_, _| 410);
    for _ in 0..1_000 {
        world.accept("message_ack", 1);
        world.run_for(Duration::from_millis(100));
    }
    assert_eq!((world.dead.len(), world.left()), (4, 996));
    assert_eq!(world.posts.len(), 5);
}
