//! Reloads of the endpoints file.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::Several;
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_secret_is_rotated_without_a_restart", rotation);
    tests.add(
        "a_rotation_without_a_rejected_event_for_a_verifier_with_one_secret",
        rotation_of_one_secret,
    );
    tests.add(
        "endpoints_are_added_changed_and_removed_without_a_restart",
        added_and_removed,
    );
    tests.add(
        "a_disabled_endpoint_keeps_its_events_until_it_is_enabled",
        disabled,
    );
    tests.add(
        "an_invalid_file_is_reported_and_changes_nothing",
        invalid_file,
    );
}

fn one(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
}

/// Follows the documented steps. The verifier is the documented one: it checks
/// `X-Webhook-Signature` with one secret.
async fn rotation_of_one_secret(test: Test) {
    let secret = Arc::new(Mutex::new("the old secret"));
    let accepts = Arc::clone(&secret);
    let receiver = Receiver::answering(move |post| {
        let is_valid = post.verify(*accepts.lock().unwrap()).body_signature.is_ok();
        Answer::status(if is_valid { 200 } else { 401 })
    });
    let receiver = receiver.await;
    let old = "secret = \"the old secret\"";
    let several = Several::start(&test, 1, &one("crm", &receiver, old)).await;
    several.accepted("test").await;
    receiver.wait_for(1, AT_LAST).await;

    let both = "secret = \"the new secret\"\nprevious_secret = \"the old secret\"\n";
    let step = |more: &str| one("crm", &receiver, &format!("{both}{more}"));
    several
        .reload(&step("signature_secret = \"previous\""))
        .await;
    until(&several, &receiver, |post| {
        post.verify("the new secret").standard_webhooks.is_ok()
    })
    .await;
    several
        .reload(&step("signature_secret = \"previous\"\nenabled = false"))
        .await;
    eventually(AT_LAST, "the end of its subscription", async || {
        (several.consumers_of("wahook.deliver.crm").await == 0).then_some(())
    })
    .await;
    let before = receiver.count();
    several.accepted("test").await;
    *secret.lock().unwrap() = "the new secret";
    several
        .reload(&step("signature_secret = \"current\""))
        .await;
    receiver.wait_for(before + 1, AT_LAST).await;
    several
        .reload(&one("crm", &receiver, "secret = \"the new secret\""))
        .await;
    several.accepted("test").await;
    let posts = receiver.wait_for(before + 2, AT_LAST).await;
    let first_attempts = posts.iter().all(|post| post.attempt() == Some(1));
    assert!(first_attempts, "no event was rejected and sent again");
}

async fn rotation(test: Test) {
    let (old, new) = ("the old secret", "the new secret");
    let receiver = Receiver::start().await;
    let several = Several::start(
        &test,
        1,
        &one("crm", &receiver, "secret = \"the old secret\""),
    )
    .await;
    several.accepted("test").await;
    let both = "secret = \"the new secret\"\nprevious_secret = \"the old secret\"";
    let posts = receiver.wait_for(1, AT_LAST).await;
    assert!(posts[0].verify(old).is_valid());

    several.reload(&one("crm", &receiver, both)).await;
    let post = until(&several, &receiver, |post| post.verify(new).is_valid()).await;
    let with_old = post.verify(old);
    assert_eq!(
        with_old.standard_webhooks,
        Ok(()),
        "receivers with the old secret still verify"
    );
    assert!(
        with_old.body_signature.is_err(),
        "the header holds one signature"
    );

    several
        .reload(&one("crm", &receiver, "secret = \"the new secret\""))
        .await;
    let without_old = |post: &wahook_tests::receiver::Post| {
        post.verify(new).is_valid() && post.verify(old).standard_webhooks.is_err()
    };
    until(&several, &receiver, without_old).await;
}

/// Posts events until a delivery matches `is_right`: a reload takes effect after a moment.
async fn until(
    several: &Several,
    receiver: &Receiver,
    is_right: impl Fn(&wahook_tests::receiver::Post) -> bool,
) -> Arc<wahook_tests::receiver::Post> {
    eventually(AT_LAST, "the expected delivery", async || {
        let id = several.accepted("test").await;
        let of_it = |posts: &[Arc<wahook_tests::receiver::Post>]| {
            posts.iter().any(|post| post.id() == Some(&*id))
        };
        receiver.wait_until("the event", AT_LAST, of_it).await;
        let post = receiver.posts_of(&id).pop()?;
        is_right(&post).then_some(post)
    })
    .await
}

async fn added_and_removed(test: Test) {
    let recovered = Arc::new(AtomicBool::new(false));
    let is_recovered = Arc::clone(&recovered);
    let leaving = Receiver::answering(move |_| {
        Answer::status(if is_recovered.load(Ordering::Relaxed) {
            200
        } else {
            500
        })
    });
    let (leaving, first, second) = (
        leaving.await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let added = Receiver::start().await;
    let start = one("leaving", &leaving, "retry_delay = 20000")
        + &one("crm", &first, "events = [\"message_*\"]");
    let several = Several::start(&test, 2, &start).await;
    let early = several.accepted("message_ack").await;
    leaving.wait_for(1, AT_LAST).await;
    first.wait_for(1, AT_LAST).await;

    // Removes one endpoint, changes the URL and the events of one, and adds one.
    let next =
        one("crm", &second, "events = [\"call\"]\nretry_delay = 700") + &one("added", &added, "");
    several.reload(&next).await;
    eventually(AT_LAST, "a queue of the new endpoint", async || {
        several.accepted("call").await;
        (!added.posts().is_empty() && !second.posts().is_empty()).then_some(())
    })
    .await;
    let unbound = several.accepted("message_create").await;
    added
        .wait_until(
            "the event that matches no other endpoint",
            AT_LAST,
            |posts| posts.iter().any(|post| post.id() == Some(&*unbound)),
        )
        .await;
    recovered.store(true, Ordering::Relaxed);
    // A retry that waits while its endpoint is removed is still delivered.
    leaving
        .wait_until("the retry", AT_LAST, |posts| {
            posts
                .iter()
                .filter(|post| post.id() == Some(&*early))
                .count()
                == 2
        })
        .await;
    assert_eq!(leaving.posts_of(&early).len(), 2);
    assert!(leaving.posts_of(&unbound).is_empty());
    // Events of the time before the last consumer reloaded are retried, too.
    eventually(AT_LAST, "an empty queue", async || {
        (several.depth("wahook.deliver.leaving").await == 0).then_some(())
    })
    .await;
    assert!(first.posts_of(&unbound).is_empty() && second.posts_of(&unbound).is_empty());
    // Before the last consumer reloads, its calls go to the old URL.
    assert!(
        second
            .posts()
            .iter()
            .all(|post| post.event() == Some("call"))
    );

    // Adds the removed endpoint again.
    several
        .reload(&(next + &one("leaving", &leaving, "")))
        .await;
    eventually(AT_LAST, "a new binding of the endpoint", async || {
        let id = several.accepted("qr").await;
        let posts = added.wait_until("the event", AT_LAST, |posts| {
            posts.iter().any(|post| post.id() == Some(&*id))
        });
        posts.await;
        (!leaving.posts_of(&id).is_empty()).then_some(())
    })
    .await;
}

async fn disabled(test: Test) {
    let receiver = Receiver::start().await;
    let other = Receiver::start().await;
    let with = |enabled: bool| {
        one("crm", &receiver, &format!("enabled = {enabled}")) + &one("bot", &other, "")
    };
    let several = Several::start(&test, 1, &with(true)).await;
    several.accepted("test").await;
    receiver.wait_for(1, AT_LAST).await;
    several.reload(&with(false)).await;
    eventually(AT_LAST, "the end of its subscription", async || {
        (several.consumers_of("wahook.deliver.crm").await == 0).then_some(())
    })
    .await;
    several.batch("test", 50).await;
    other.wait_for(51, AT_LAST).await;
    assert_eq!(receiver.posts().len(), 1);
    assert_eq!(several.depth("wahook.deliver.crm").await, 50);
    several.reload(&with(true)).await;
    receiver.wait_for(51, AT_LAST).await;
}

async fn invalid_file(test: Test) {
    let receiver = Receiver::start().await;
    let good = one("crm", &receiver, "");
    let several = Several::start(&test, 1, &good).await;
    let bad = format!("{good}colour = 1\n[[endpoint]]\nname = \"CRM\"\nurl = \"ftp://x\"\n");
    several.reload(&bad).await;
    let consumer = &several.consumers[0];
    let counts = consumer.metrics().await;
    assert_eq!(
        counts.sum_where("wahook_reloads_total", &[("result", "refused")]),
        1.0
    );
    let stderr = consumer.wait_logged("endpoints not reloaded").await;
    for expected in [
        "line 5: endpoint crm: unknown setting colour",
        "line 7: endpoint CRM: name must match",
        "line 8: endpoint CRM: url is",
        "endpoints not reloaded",
    ] {
        assert!(stderr.contains(expected), "{expected} is not in:\n{stderr}");
    }
    several.accepted("test").await;
    receiver.wait_for(1, AT_LAST).await;
    let (_, answer) = several.post(&json!({"event": "test"})).await;
    assert!(answer.get("endpoints").is_none());
}
