//! Payloads that the log cannot store exactly are delivered exactly, recorded, and flagged.

use std::sync::Arc;
use std::time::Duration;

use mongodb::bson::{Bson, Document, bson, doc};
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::{Pair, SECRET};
use wahook_tests::receiver::{Post, Receiver};

use crate::world::{Test, Tests};

/// Array length with 2.9 MB in JSON and more than MongoDB's 16 MiB in BSON, where arrays are
/// six times as large.
const TOO_MANY_ONES: usize = 1_450_000;

pub(crate) fn add(tests: &mut Tests) {
    tests.add(
        "payloads_that_the_log_cannot_store_are_delivered_exactly_and_flagged",
        odd,
    );
    tests.add(
        "a_payload_above_16_mib_is_delivered_and_omitted_from_the_log",
        too_large,
    );
}

/// Returns canonical data, the stored payload, and the expected `payloadAltered`.
fn odd_payloads() -> Vec<(String, Document, Option<Bson>)> {
    let nested = |depth| (0..depth).fold("1".to_owned(), |inner, _| format!(r#"{{"a":{inner}}}"#));
    let nested_bson = |depth| (1..depth).fold(doc! { "a": 1 }, |inner, _| doc! { "a": inner });
    // Depth and size near the limits of BSON: 1 MiB, the rest of the event below 100 bytes.
    let long = "é".repeat((1 << 19) - 50);
    let lone = bson!(["lone_surrogate"]);
    let nul = bson!(["nul_in_key"]);
    let as_it_is = |json: &str, bson: Document| (json.to_owned(), bson, None);
    vec![
        as_it_is(
            r#"{"a.b":1,"$set":{"$x":"$y"},"":{"..":null}}"#,
            doc! { "a.b": 1, "$set": { "$x": "$y" }, "": { "..": null } },
        ),
        as_it_is(
            r#"{"n":[9223372036854776000,123456789012345680000,1.7976931348623157e+308,-2147483649]}"#,
            doc! { "n": [9223372036854775808.0, 123456789012345680000.0, f64::MAX, -2147483649.0] },
        ),
        as_it_is(r#"{"s":"a\u0000b"}"#, doc! { "s": "a\0b" }),
        // "data" is the second of at most 64 levels.
        as_it_is(&nested(63), nested_bson(63)),
        as_it_is(&format!(r#"{{"s":"{long}"}}"#), doc! { "s": &long }),
        (
            r#"{"a\u0000b":1}"#.to_owned(),
            doc! { "a\u{2400}b": 1 },
            Some(nul),
        ),
        (
            r#"{"s":"\ud83d!"}"#.to_owned(),
            doc! { "s": "\u{fffd}!" },
            Some(lone),
        ),
    ]
}

fn event(data: &str) -> String {
    format!(r#"{{"event":"test","data":{data},"timestamp":"2024-10-01T12:00:00.000Z"}}"#)
}

async fn odd(test: Test) {
    let pair = test.pair(Receiver::start().await, &[]).await;
    for (data, bson, altered) in odd_payloads() {
        let record = delivered_exactly(&pair, &data, AT_LAST).await;
        assert_eq!(record.get_document("payload").ok(), Some(&bson));
        assert_eq!(record.get("payloadAltered"), altered.as_ref());
    }
}

async fn too_large(test: Test) {
    let limit = (4 << 20).to_string();
    let settings = [("PRODUCER_MAX_BODY_BYTES", limit.as_str())];
    let pair = test.pair(Receiver::start().await, &settings).await;
    let ones = vec!["1"; TOO_MANY_ONES].join(",");
    let data = format!(r#"{{"n":[{ones}]}}"#);
    let record = delivered_exactly(&pair, &data, AT_LAST).await;
    assert_eq!(record.get("payload"), None);
    assert_eq!(record.get("payloadAltered"), Some(&bson!(["too_large"])));
}

/// Posts an event, checks that it is delivered unchanged, and returns its record.
async fn delivered_exactly(pair: &Pair, data: &str, within: Duration) -> Document {
    let event = event(data);
    let id = pair.post_with(&[], event.as_str()).await.accepted_id();
    let arrived = |posts: &[Arc<Post>]| posts.iter().any(|post| post.id() == Some(&id));
    pair.receiver.wait_until("the event", within, arrived).await;
    let posts = pair.receiver.posts_of(&id);
    // Not assert_eq: some bodies have megabytes.
    assert!(
        posts[0].body == event.as_bytes(),
        "the body of {id} differs"
    );
    assert!(posts[0].verify(SECRET).is_valid());
    let record = pair.wait_record(&id, within, |_| true).await;
    assert_eq!(record.get_str("status").ok(), Some("success"));
    assert_eq!(record.get_i32("retryCount").ok(), Some(0));
    record
}
