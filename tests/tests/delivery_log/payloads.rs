//! Payloads that BSON or MongoDB cannot store directly.

use mongodb::bson::{Bson, Document, bson, doc};
use wahook_delivery_log::{DeliveryLog, WriteReport};

use crate::{
    results::{attempt, delivered, event_with, result, written},
    server::Log,
};

const ALTERED: WriteReport = WriteReport {
    written: 1,
    altered: 1,
    rejected: 0,
};

async fn payload_of(log: &Log, id: &str) -> (Document, Option<Bson>) {
    let stored = log.stored(id).await;
    let payload = stored.get_document("payload").unwrap().clone();
    (payload, stored.get("payloadAltered").cloned())
}

#[tokio::test]
async fn keys_and_strings_that_look_like_operators_are_stored_unchanged() {
    let log = Log::named("operators").await;
    let data = r#"{"a.b":1,"$set":{"x":"$name"},"":"","s":"$$ROOT","$ref":5,
        "list":[{"$inc":1},["$$new"]],"n":{"_id":[1],"$id":{"$literal":"$x"}}}"#;
    let expected = doc! {
        "a.b": 1, "$set": { "x": "$name" }, "": "", "s": "$$ROOT", "$ref": 5,
        "list": [{ "$inc": 1 }, ["$$new"]], "n": { "_id": [1], "$id": { "$literal": "$x" } },
    };
    let body = event_with(data);
    // Inserted, merged into a record, and merged without a record.
    let writes = [
        delivered("e1", &body),
        result("e1", &body, attempt(2, None, None)),
        result("e2", &body, attempt(2, None, None)),
    ];
    for write in writes {
        assert_eq!(log.log.write(&[write]).await.unwrap(), written(1));
    }
    for id in ["e1", "e2"] {
        let (payload, altered) = payload_of(&log, id).await;
        assert_eq!((payload.to_string(), altered), (expected.to_string(), None));
    }
}

#[tokio::test]
async fn numbers_have_the_same_types_as_with_the_node_driver() {
    let log = Log::named("numbers").await;
    let data = r#"{"n":[0,-1,2147483647,-2147483648,2147483648,1.5,1e3,1e300,9007199254740993]}"#;
    log.log
        .write(&[delivered("e1", &event_with(data))])
        .await
        .unwrap();
    let expected = bson!([
        0,
        -1,
        2147483647,
        -2147483648,
        2147483648.0,
        1.5,
        1000,
        1e300,
        9007199254740992.0
    ]);
    assert_eq!(payload_of(&log, "e1").await.0.get("n"), Some(&expected));
}

#[tokio::test]
async fn text_that_bson_cannot_hold_is_stored_in_its_nearest_form_and_flagged() {
    let log = Log::named("nearest").await;
    let cases = [
        (
            r#"{"a\u0000b":1}"#,
            doc! { "a\u{2400}b": 1 },
            bson!(["nul_in_key"]),
        ),
        (
            r#"{"a":"\ud83d!"}"#,
            doc! { "a": "\u{fffd}!" },
            bson!(["lone_surrogate"]),
        ),
        (
            r#"{"\u0000":1,"␀":2,"\ud83d":3,"\ud83e":4}"#,
            doc! { "\u{2400}": 1, "\u{2400}_": 2, "\u{fffd}": 3, "\u{fffd}_": 4 },
            bson!(["lone_surrogate", "nul_in_key"]),
        ),
    ];
    for (index, (data, expected, flags)) in cases.into_iter().enumerate() {
        for number in [1, 2] {
            let id = format!("e{index}-{number}");
            let write = result(&id, &event_with(data), attempt(number, None, None));
            assert_eq!(log.log.write(&[write]).await.unwrap(), ALTERED);
            let (payload, altered) = payload_of(&log, &id).await;
            assert_eq!((payload, altered), (expected.clone(), Some(flags.clone())));
        }
    }
}

#[tokio::test]
async fn a_nul_inside_a_string_is_stored_unchanged() {
    let log = Log::named("nul").await;
    let write = delivered("e1", &event_with(r#"{"a":"x\u0000y"}"#));
    assert_eq!(log.log.write(&[write]).await.unwrap(), written(1));
    assert_eq!(payload_of(&log, "e1").await, (doc! { "a": "x\0y" }, None));
}

/// A command is a document of at most 16 MiB, so these results need several.
#[tokio::test]
async fn results_with_long_payloads_are_written_in_several_commands() {
    let log = Log::named("long").await;
    let body = event_with(&format!(r#"{{"s":"{}"}}"#, "x".repeat(3 << 20)));
    let results: Vec<_> = (0..6)
        .flat_map(|event| {
            let id = format!("e{event}");
            [
                delivered(&id, &body),
                result(&id, &body, attempt(2, None, None)),
            ]
        })
        .collect();
    assert_eq!(log.log.write(&results).await.unwrap(), written(12));
    assert_eq!(log.collection().count_documents(doc! {}).await.unwrap(), 6);
}

#[tokio::test]
async fn a_payload_at_the_limit_is_stored_and_a_larger_one_is_omitted_and_flagged() {
    let log = Log::named("limit").await;
    // Overhead of a document with one string member "s": 4 length, 1 type, 2 key,
    // 4 length, 1 NUL, and 1 at the end of the document.
    let longest = (15 << 20) + (512 << 10) - 13;
    let data = |length| event_with(&format!(r#"{{"s":"{}"}}"#, "x".repeat(length)));
    for (number, way) in [(1, "insert"), (2, "merge")] {
        let fits = result(
            &format!("fits-{way}"),
            &data(longest),
            attempt(number, None, None),
        );
        assert_eq!(log.log.write(&[fits]).await.unwrap(), written(1));
        let id = format!("beyond-{way}");
        let beyond = result(&id, &data(longest + 1), attempt(number, None, None));
        assert_eq!(log.log.write(&[beyond]).await.unwrap(), ALTERED);
        let stored = log.stored(&id).await;
        assert_eq!(stored.get("payload"), None);
        assert_eq!(stored.get("payloadAltered"), Some(&bson!(["too_large"])));
        assert_eq!(stored.get_str("status").unwrap(), "success");
    }
}

#[tokio::test]
async fn the_deepest_accepted_event_is_stored() {
    let log = Log::named("deep").await;
    // The envelope is the first level, "data" the second.
    let inner = 62;
    let data = format!(r#"{}1{}"#, r#"{"a":"#.repeat(inner), "}".repeat(inner));
    for number in [1, 2] {
        let write = result(
            &format!("e{number}"),
            &event_with(&format!(r#"{{"a":{data}}}"#)),
            attempt(number, None, None),
        );
        assert_eq!(log.log.write(&[write]).await.unwrap(), written(1));
    }
}
