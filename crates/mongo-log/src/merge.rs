//! Aggregation pipeline that merges a result into a record on the server.

use std::sync::LazyLock;

use mongodb::bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use wahook_domain::{DeliveryRecord, redaction::REDACTED};

/// Constant aggregation pipeline of every `update`.
///
/// The variable `$$new` contains the record of the new result. It is sent separately,
/// as a constant, so the server never evaluates a string of a payload as an
/// expression. The server runs the pipeline on the stored record under its lock, so
/// concurrent consumers do not overwrite each other's changes.
///
/// Derives every field from the set of attempts exactly as the domain's
/// `DeliveryRecord` does, and needs no more than MongoDB 4.4 (hence no
/// `$sortArray`). BSON orders attempts as the domain does: the fields of an attempt
/// are stored in the order of the domain's fields, and `null` sorts before numbers,
/// strings and dates, as `None` does before `Some`.
pub(crate) static MERGE: LazyLock<RawArrayBuf> = LazyLock::new(|| {
    let mut stages = RawArrayBuf::new();
    stages.push(keep_existing_fields());
    stages.push(add_attempt());
    stages.push(trim_attempts());
    stages.push(select_winner());
    stages.push(derive_fields());
    stages.push(rawdoc! { "$unset": "winner" });
    stages
});

/// Keeps existing fields, including fields that users added. A missing record becomes
/// that of the new result.
fn keep_existing_fields() -> RawDocumentBuf {
    rawdoc! { "$replaceWith": { "$mergeObjects": ["$$new", "$$ROOT"] } }
}

fn add_attempt() -> RawDocumentBuf {
    let attempts_that = |compare: RawDocumentBuf| {
        rawdoc! { "$filter": { "input": "$attempts", "as": "attempt", "cond": compare } }
    };
    rawdoc! { "$set": {
        "createdAt": { "$min": ["$createdAt", "$$new.createdAt"] },
        "attempts": { "$let": {
            "vars": { "added": added_attempt() },
            "in": { "$concatArrays": [
                attempts_that(rawdoc! { "$lt": ["$$attempt", "$$added"] }),
                ["$$added"],
                attempts_that(rawdoc! { "$gt": ["$$attempt", "$$added"] }),
            ] },
        } },
    } }
}

/// Returns the attempt to add. If it sent another event with the same id, it has a mark.
fn added_attempt() -> RawDocumentBuf {
    let attempt = rawdoc! { "$arrayElemAt": ["$$new.attempts", 0] };
    let marked = rawdoc! { "$mergeObjects": [attempt.clone(), { "otherEvent": true }] };
    rawdoc! { "$cond": [is_of_another_event(), marked, attempt] }
}

/// Compares payloads only if `DeliveryRecord::may_mix` of the domain is true. An erased record
/// has no payload to compare.
fn is_of_another_event() -> RawDocumentBuf {
    let may_mix = rawdoc! { "$or": [
        { "$ne": ["$createdAt", "$$new.createdAt"] },
        { "$ne": ["$event", "$$new.event"] },
        { "$in": [true, "$attempts.otherEvent"] },
    ] };
    let differs = rawdoc! { "$or": [
        { "$ne": ["$event", "$$new.event"] },
        { "$and": [
            { "$ne": ["$payload", "$$new.payload"] },
            { "$ne": ["$payload", { "erased": { "$literal": REDACTED } }] },
        ] },
    ] };
    rawdoc! { "$and": [may_mix, differs] }
}

/// Removes attempts in the middle of very many, except successful ones.
fn trim_attempts() -> RawDocumentBuf {
    let (first, most) = (DeliveryRecord::FIRST_KEPT, DeliveryRecord::MAX_KEPT);
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let (first, most, newest) = (count(first), count(most), count(most - first));
    let size = rawdoc! { "$size": "$attempts" };
    let middle = rawdoc! { "$slice": ["$attempts", first, { "$subtract": [size.clone(), most] }] };
    let successful = rawdoc! { "$filter": {
        "input": middle, "as": "attempt", "cond": { "$eq": ["$$attempt.error", null] },
    } };
    let trimmed = rawdoc! { "$concatArrays": [
        { "$slice": ["$attempts", first] }, successful, { "$slice": ["$attempts", -newest] },
    ] };
    rawdoc! { "$set": { "attempts": { "$cond": [
        { "$gt": [size, most] }, trimmed, "$attempts",
    ] } } }
}

/// Selects the greatest successful attempt, or the greatest if none succeeded: a
/// success takes precedence over later attempts, otherwise the latest attempt counts.
fn select_winner() -> RawDocumentBuf {
    let successful = rawdoc! { "$filter": {
        "input": "$attempts", "as": "attempt", "cond": { "$eq": ["$$attempt.error", null] },
    } };
    rawdoc! { "$set": { "winner": { "$ifNull": [
        { "$arrayElemAt": [successful, -1] },
        { "$arrayElemAt": ["$attempts", -1] },
    ] } } }
}

fn derive_fields() -> RawDocumentBuf {
    let delivered = rawdoc! { "$eq": ["$winner.error", null] };
    let final_failure = rawdoc! { "$eq": ["$winner.nextAttemptAt", null] };
    let finished = rawdoc! { "$or": [delivered.clone(), final_failure.clone()] };
    let end = rawdoc! { "$add": ["$winner.startedAt", "$winner.durationMs"] };
    let retries = rawdoc! { "$filter": {
        "input": "$attempts", "as": "attempt", "cond": { "$gt": ["$$attempt.number", 1] },
    } };
    rawdoc! { "$set": {
        "webhookUrl": "$winner.webhookUrl",
        "status": { "$cond": [
            delivered, "success",
            { "$cond": [final_failure, "failed", "retrying"] },
        ] },
        "statusCode": "$winner.statusCode",
        "retryCount": { "$subtract": ["$winner.number", 1] },
        "errorMessage": "$winner.error",
        "nextAttemptAt": "$winner.nextAttemptAt",
        "updatedAt": { "$max": { "$map": {
            "input": "$attempts", "as": "attempt",
            "in": { "$add": ["$$attempt.startedAt", "$$attempt.durationMs"] },
        } } },
        "lastRetryAt": { "$max": { "$map": {
            "input": retries, "as": "attempt", "in": "$$attempt.startedAt",
        } } },
        "completedAt": { "$cond": [finished, end, null] },
    } }
}
