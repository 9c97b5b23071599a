//! Reads the server's reply for each statement of a command.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document};
use thiserror::Error;
use wahook_delivery_log::LogUnavailable;

/// Reason why a statement was not executed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    /// A record with this `_id` already exists: another consumer was faster, or this
    /// result was written before.
    #[error("the record exists")]
    RecordExists,
    /// The server rejects the statement permanently in this form.
    #[error("{reason} (code {code})")]
    Rejected { code: i32, reason: String },
}

const DUPLICATE_KEY: i32 = 11000;

/// Returns the faults by statement index. A statement without a fault was executed
/// and is in the journal of the majority of the servers.
///
/// # Errors
/// If the server does not confirm that, or a fault is a temporary server state.
pub(crate) fn read(
    reply: &Document,
    statements: usize,
) -> Result<BTreeMap<usize, Fault>, LogUnavailable> {
    if let Some(error) = reply.get("writeConcernError") {
        return Err(LogUnavailable::Unconfirmed(error.to_string()));
    }
    let mut faults = BTreeMap::new();
    if let Ok(errors) = reply.get_array("writeErrors") {
        for error in errors.iter().filter_map(|error| error.as_document()) {
            let (index, fault) = fault(error)?;
            faults.insert(index, fault);
        }
    }
    // Each statement affects exactly one record: a lower count means that the server
    // stopped half-way without a reason.
    let executed = count(reply, "n");
    if executed.is_none_or(|n| n + faults.len() != statements) {
        return Err(LogUnavailable::Unconfirmed(format!(
            "{executed:?} of {statements} statements executed, {} rejected",
            faults.len()
        )));
    }
    Ok(faults)
}

fn fault(error: &Document) -> Result<(usize, Fault), LogUnavailable> {
    let code = error.get_i32("code").unwrap_or_default();
    let reason = error.get_str("errmsg").unwrap_or_default().to_owned();
    let Some(index) = count(error, "index").filter(|_| !is_temporary(code)) else {
        return Err(LogUnavailable::Unconfirmed(format!("{reason} ({code})")));
    };
    let fault = if code == DUPLICATE_KEY && is_record_key(error) {
        Fault::RecordExists
    } else {
        Fault::Rejected { code, reason }
    };
    Ok((index, fault))
}

/// Returns true if the `_id` is the duplicate, false if a user's unique index is violated.
fn is_record_key(error: &Document) -> bool {
    match error.get_document("keyPattern") {
        Ok(pattern) => pattern.keys().eq(["_id"]),
        Err(_) => true,
    }
}

fn count(document: &Document, name: &str) -> Option<usize> {
    match document.get(name) {
        Some(Bson::Int32(value)) => usize::try_from(*value).ok(),
        Some(Bson::Int64(value)) => usize::try_from(*value).ok(),
        _ => None,
    }
}

/// Returns true if an error code means that another server, or none, is primary now.
pub(crate) fn is_change_of_primary(code: i32) -> bool {
    // NotWritablePrimary and its variants, PrimarySteppedDown, ShutdownInProgress,
    // InterruptedAtShutdown, InterruptedDueToReplStateChange.
    matches!(
        code,
        10107 | 10058 | 13435 | 13436 | 189 | 91 | 11600 | 11602
    )
}

/// Returns true if an error code describes a temporary state of the server, not a
/// fault of the statement. The names are MongoDB's.
///
/// Any code that is not listed counts as permanent: a permanent rejection that is
/// treated as temporary would block all later results indefinitely.
fn is_temporary(code: i32) -> bool {
    let temporary = matches!(
        code,
        // InternalError, UnknownError, OperationFailed: cause unknown.
        1 | 8 | 96
        // HostUnreachable, HostNotFound, NetworkTimeout, SocketException,
        // NetworkInterfaceExceededTimeLimit, FailedToSatisfyReadPreference.
        | 6 | 7 | 89 | 9001 | 202 | 133
        // Interrupted, ClientDisconnect, CursorKilled.
        | 11601 | 279 | 237
        // LockTimeout, MaxTimeMSExpired, ExceededTimeLimit, WriteConcernFailed.
        | 24 | 50 | 262 | 64
        // WriteConflict, SnapshotUnavailable, TemporarilyUnavailable.
        | 112 | 246 | 365
        // ShardNotFound, StaleEpoch, StaleDbVersion, StaleConfig.
        | 70 | 150 | 249 | 13388
        // Unauthorized, AuthenticationFailed, ReauthenticationRequired: an
        // operator can fix them, and the results must not be lost until then.
        | 13 | 18 | 391
        // UserWritesBlocked, ExceededMemoryLimit, OutOfDiskSpace, AtlasError.
        | 371 | 146 | 14031 | 8000
    );
    temporary || is_change_of_primary(code)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn write_without_majority_confirmation_is_unconfirmed() {
        let reply =
            doc! { "n": 1, "ok": 1, "writeConcernError": { "code": 64, "errmsg": "timeout" } };
        assert!(matches!(
            read(&reply, 1),
            Err(LogUnavailable::Unconfirmed(_))
        ));
    }

    #[test]
    fn reply_that_omits_a_statement_is_unconfirmed() {
        for reply in [
            doc! { "ok": 1 },
            doc! { "ok": 1, "n": 2 },
            doc! { "ok": 1, "n": -1 },
        ] {
            let read = read(&reply, 3);
            assert!(
                matches!(read, Err(LogUnavailable::Unconfirmed(_))),
                "{reply}"
            );
        }
        assert_eq!(read(&doc! { "ok": 1, "n": 3_i64 }, 3).unwrap().len(), 0);
    }

    #[test]
    fn fault_of_a_statement_is_distinguished_from_temporary_server_state() {
        let reply = |code: i32| {
            let error = doc! { "index": 1, "code": code, "errmsg": "why" };
            doc! { "ok": 1, "n": 1, "writeErrors": [error] }
        };
        let rejected = Fault::Rejected {
            code: 121,
            reason: "why".to_owned(),
        };
        assert_eq!(
            read(&reply(121), 2).unwrap(),
            BTreeMap::from([(1, rejected)])
        );
        for temporary in [91, 112, 189, 10107, 14031] {
            let read = read(&reply(temporary), 2);
            assert!(
                matches!(read, Err(LogUnavailable::Unconfirmed(_))),
                "{temporary}"
            );
        }
    }

    #[test]
    fn only_a_duplicate_record_key_means_that_the_record_exists() {
        let reply = |pattern: Document| {
            let error = doc! { "index": 0, "code": DUPLICATE_KEY, "keyPattern": pattern };
            doc! { "ok": 1, "n": 0, "writeErrors": [error] }
        };
        let by_record_key = read(&reply(doc! { "_id": 1 }), 1).unwrap();
        assert_eq!(by_record_key.get(&0), Some(&Fault::RecordExists));
        let by_other_key = read(&reply(doc! { "payload.id": 1 }), 1).unwrap();
        assert!(matches!(by_other_key.get(&0), Some(Fault::Rejected { .. })));
    }
}
