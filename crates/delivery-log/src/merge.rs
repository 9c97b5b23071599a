//! How the server merges one more result into a record.

use std::sync::LazyLock;

use mongodb::bson::{RawArrayBuf, RawDocumentBuf, rawdoc};

/// The aggregation pipeline of every `update`.
///
/// It is constant. The record of the new result alone is the variable `$$new`,
/// sent as a constant beside it, so no string of a payload is ever read as an
/// expression, and nothing is computed from a record that another consumer may
/// be changing: the server runs it on the stored record, under its lock.
///
/// It derives every field from the set of attempts exactly as the domain's
/// `DeliveryRecord` does, and uses nothing newer than MongoDB 4.4 (hence no
/// `$sortArray`). BSON orders attempts as the domain does, since the fields of an
/// attempt are stored in the order of the domain's fields, and `null` sorts
/// before numbers, strings and dates as `None` does before `Some`.
pub(crate) static MERGE: LazyLock<RawArrayBuf> = LazyLock::new(|| {
    let mut stages = RawArrayBuf::new();
    stages.push(keep_what_is_known());
    stages.push(add_the_attempt());
    stages.push(choose_the_winner());
    stages.push(derive_the_rest());
    stages.push(rawdoc! { "$unset": "winner" });
    stages
});

/// What is set once stays as it is; what users added stays too. A record that
/// does not exist yet becomes that of the new result.
fn keep_what_is_known() -> RawDocumentBuf {
    rawdoc! { "$replaceWith": { "$mergeObjects": ["$$new", "$$ROOT"] } }
}

fn add_the_attempt() -> RawDocumentBuf {
    let attempts_that = |compare: RawDocumentBuf| {
        rawdoc! { "$filter": { "input": "$attempts", "as": "attempt", "cond": compare } }
    };
    rawdoc! { "$set": {
        "createdAt": { "$min": ["$createdAt", "$$new.createdAt"] },
        "attempts": { "$let": {
            "vars": { "added": { "$arrayElemAt": ["$$new.attempts", 0] } },
            "in": { "$concatArrays": [
                attempts_that(rawdoc! { "$lt": ["$$attempt", "$$added"] }),
                ["$$added"],
                attempts_that(rawdoc! { "$gt": ["$$attempt", "$$added"] }),
            ] },
        } },
    } }
}

/// The greatest successful attempt, else the greatest: a success absorbs
/// whatever comes after it, otherwise a later attempt outranks an earlier one.
fn choose_the_winner() -> RawDocumentBuf {
    let successful = rawdoc! { "$filter": {
        "input": "$attempts", "as": "attempt", "cond": { "$eq": ["$$attempt.error", null] },
    } };
    rawdoc! { "$set": { "winner": { "$ifNull": [
        { "$arrayElemAt": [successful, -1] },
        { "$arrayElemAt": ["$attempts", -1] },
    ] } } }
}

fn derive_the_rest() -> RawDocumentBuf {
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
