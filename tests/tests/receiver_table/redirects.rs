//! Redirects of a consumer that follows them.

use bytes::Bytes;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::{Answer, Receiver};
use wahook_tests::world::{Test, Tests};

use crate::ending::{Ending, assert_counts, assert_ends, pair_to};

const FOLLOW: (&str, &str) = ("WEBHOOK_FOLLOW_REDIRECTS", "true");

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "a_followed_redirect_delivers_the_same_signed_request",
        followed,
    );
    tests.add(
        "a_redirect_that_is_not_followed_is_recorded_with_its_reason",
        not_followed,
    );
}

fn redirect(status: u16, location: &str) -> Answer {
    Answer::status(status).header("location", location)
}

async fn followed(test: Test) {
    let receiver = Receiver::answering(|post| match post.path.as_str() {
        "/webhook" => redirect(308, "/moved"),
        "/moved" => redirect(307, "/here"),
        _ => Answer::status(200),
    });
    let receiver = receiver.await;
    let pair = pair_to(&test, &receiver.url(), &[FOLLOW]).await;
    assert_ends(&pair, "test", &Ending::delivered(200)).await;
    assert_counts(&pair, &[("delivered", 1)]).await;
    let posts = receiver.posts();
    let paths: Vec<_> = posts.iter().map(|post| post.path.as_str()).collect();
    assert_eq!(paths, ["/webhook", "/moved", "/here"]);
    let bodies: Vec<&Bytes> = posts.iter().map(|post| &post.body).collect();
    assert_eq!(bodies, [bodies[0]; 3]);
    for post in &posts {
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
        assert_eq!(post.id(), posts[0].id());
    }
}

async fn not_followed(test: Test) {
    let elsewhere = Receiver::start().await;
    let (other_port, other_host) = (elsewhere.url(), "http://localhost/webhook");
    let port = other_port.clone();
    let receiver = Receiver::answering(move |post| match post.event() {
        Some("port") => redirect(308, &port),
        Some("host") => redirect(307, other_host),
        Some("status") => redirect(302, "/next"),
        _ => redirect(307, "/again"),
    });
    let receiver = receiver.await;
    let pair = pair_to(&test, &receiver.url(), &[FOLLOW]).await;
    for (event, status, location, reason) in [
        ("port", 308, other_port.as_str(), "it leads to another port"),
        ("host", 307, other_host, "it leads to another host"),
        ("status", 302, "/next", "only 307 and 308 are followed"),
        ("again", 307, "/again", "too many in one attempt"),
    ] {
        let ending = Ending {
            outcome: "redirect",
            status: Some(status),
            error: Some(format!("redirect to {location} not followed: {reason}")),
        };
        assert_ends(&pair, event, &ending).await;
    }
    assert_counts(&pair, &[("redirect", 4)]).await;
    assert_eq!((receiver.count(), elsewhere.count()), (3 + 4, 0));
}
