//! Changes without a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use wahook_tests::eventually::eventually;
use wahook_tests::receiver::{Answer, Receiver};

use crate::several::{SOON, Several};
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_secret_is_rotated_without_a_restart", rotation);
    tests.add(
        "endpoints_come_change_and_go_without_a_restart",
        come_and_go,
    );
    tests.add(
        "one_that_is_not_enabled_keeps_its_events_until_it_is",
        disabled,
    );
    tests.add("a_bad_file_changes_nothing_and_says_why", bad_file);
}

fn one(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\n{more}\n")
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
    let posts = receiver.wait_for(1, SOON).await;
    assert!(posts[0].verify(old).is_valid());

    several.reload(&one("crm", &receiver, both)).await;
    let post = until(&several, &receiver, |post| post.verify(new).is_valid()).await;
    let with_old = post.verify(old);
    assert_eq!(
        with_old.standard_webhooks,
        Ok(()),
        "receivers who have the old one go on"
    );
    assert!(with_old.body_signature.is_err(), "it has room for one");

    several
        .reload(&one("crm", &receiver, "secret = \"the new secret\""))
        .await;
    let without_old = |post: &wahook_tests::receiver::Post| {
        post.verify(new).is_valid() && post.verify(old).standard_webhooks.is_err()
    };
    until(&several, &receiver, without_old).await;
}

/// Posts until a delivery is as it should be: a reload takes effect a moment after it.
async fn until(
    several: &Several,
    receiver: &Receiver,
    is_right: impl Fn(&wahook_tests::receiver::Post) -> bool,
) -> Arc<wahook_tests::receiver::Post> {
    eventually(SOON, "the right delivery", async || {
        let id = several.accepted("test").await;
        let of_it = |posts: &[Arc<wahook_tests::receiver::Post>]| {
            posts.iter().any(|post| post.id() == Some(&*id))
        };
        receiver.wait_until("the event", SOON, of_it).await;
        let post = receiver.posts_of(&id).pop()?;
        is_right(&post).then_some(post)
    })
    .await
}

async fn come_and_go(test: Test) {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let leaving = Receiver::answering(move |_| {
        Answer::status(if is_mended.load(Ordering::Relaxed) {
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
    let start = one("leaving", &leaving, "retry_delay = 3000")
        + &one("crm", &first, "events = [\"message_*\"]");
    let several = Several::start(&test, 2, &start).await;
    let early = several.accepted("message_ack").await;
    leaving.wait_for(1, SOON).await;
    first.wait_for(1, SOON).await;

    // One goes, one gets another URL and other events, one comes.
    let next =
        one("crm", &second, "events = [\"call\"]\nretry_delay = 700") + &one("added", &added, "");
    several.reload(&next).await;
    eventually(SOON, "the new endpoint has its queue", async || {
        several.accepted("call").await;
        (!added.posts().is_empty() && !second.posts().is_empty()).then_some(())
    })
    .await;
    let unbound = several.accepted("message_create").await;
    added
        .wait_until("what the others do not want", SOON, |posts| {
            posts.iter().any(|post| post.id() == Some(&*unbound))
        })
        .await;
    mended.store(true, Ordering::Relaxed);
    // The retry that waited when its endpoint was removed is made all the same.
    leaving
        .wait_until("its retry", SOON, |posts| {
            posts
                .iter()
                .filter(|post| post.id() == Some(&*early))
                .count()
                == 2
        })
        .await;
    assert_eq!(leaving.posts_of(&early).len(), 2);
    assert!(leaving.posts_of(&unbound).is_empty());
    assert_eq!(several.depth("wahook.deliver.leaving").await, 0);
    assert!(first.posts_of(&unbound).is_empty() && second.posts_of(&unbound).is_empty());
    // Until the last consumer has read the file, its calls may go to the old URL.
    assert!(
        second
            .posts()
            .iter()
            .all(|post| post.event() == Some("call"))
    );

    // And back again.
    several
        .reload(&(next + &one("leaving", &leaving, "")))
        .await;
    eventually(SOON, "it is bound again", async || {
        let id = several.accepted("qr").await;
        let posts = added.wait_until("the event", SOON, |posts| {
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
    receiver.wait_for(1, SOON).await;
    several.reload(&with(false)).await;
    eventually(SOON, "its subscription ends", async || {
        (several.consumers_of("wahook.deliver.crm").await == 0).then_some(())
    })
    .await;
    several.batch("test", 50).await;
    other.wait_for(51, SOON).await;
    assert_eq!(receiver.posts().len(), 1);
    assert_eq!(several.depth("wahook.deliver.crm").await, 50);
    several.reload(&with(true)).await;
    receiver.wait_for(51, SOON).await;
}

async fn bad_file(test: Test) {
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
    let said = consumer.stderr_so_far();
    for expected in [
        "line 5: endpoint crm: there is no setting colour",
        "line 7: endpoint CRM: name must match",
        "line 8: endpoint CRM: url is",
        "nothing was changed",
    ] {
        assert!(said.contains(expected), "{expected} is missing in:\n{said}");
    }
    several.accepted("test").await;
    receiver.wait_for(1, Duration::from_secs(5)).await;
    let (_, answer) = several.post(&json!({"event": "test"})).await;
    assert!(answer.get("endpoints").is_none());
}
