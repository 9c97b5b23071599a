//! What the server's answer says about each statement of a command.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document};
use thiserror::Error;

use crate::LogUnavailable;

/// What became of a statement that was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Fault {
    /// There is a record with this `_id` already (another consumer was quicker,
    /// or this result was written before).
    #[error("the record exists")]
    RecordExists,
    /// The server will never take the statement as it is.
    #[error("{reason} (code {code})")]
    Refused { code: i32, reason: String },
}

const DUPLICATE_KEY: i32 = 11000;

/// The faults by statement index; a statement without one was carried out, and
/// the majority of the servers has it in its journal.
///
/// # Errors
/// When the server can't promise that, or is in no state to judge a statement.
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
    // Each statement touches one record: a shorter count means that the server
    // stopped half-way without naming a reason.
    let carried_out = count(reply, "n");
    if carried_out.is_none_or(|n| n + faults.len() != statements) {
        return Err(LogUnavailable::Unconfirmed(format!(
            "{carried_out:?} of {statements} statements carried out, {} refused",
            faults.len()
        )));
    }
    Ok(faults)
}

fn fault(error: &Document) -> Result<(usize, Fault), LogUnavailable> {
    let code = error.get_i32("code").unwrap_or_default();
    let reason = error.get_str("errmsg").unwrap_or_default().to_owned();
    let Some(index) = count(error, "index").filter(|_| !is_passing(code)) else {
        return Err(LogUnavailable::Unconfirmed(format!("{reason} ({code})")));
    };
    let fault = if code == DUPLICATE_KEY && is_about_the_record_key(error) {
        Fault::RecordExists
    } else {
        Fault::Refused { code, reason }
    };
    Ok((index, fault))
}

/// A unique index that users made may be violated too; that is no record of ours.
fn is_about_the_record_key(error: &Document) -> bool {
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

/// Whether an error code says that another server is the primary now, or none is.
pub(crate) fn is_change_of_primary(code: i32) -> bool {
    // NotWritablePrimary and its kin, PrimarySteppedDown, ShutdownInProgress,
    // InterruptedAtShutdown, InterruptedDueToReplStateChange.
    matches!(
        code,
        10107 | 10058 | 13435 | 13436 | 189 | 91 | 11600 | 11602
    )
}

/// Whether an error code tells of the server's state and not of the statement.
/// The names are those of MongoDB's list of error codes.
///
/// Any other code is the statement's own: the list is of the passing ones because
/// a lasting refusal that is taken for a passing one would hold up all results
/// behind it for ever.
fn is_passing(code: i32) -> bool {
    let passing = matches!(
        code,
        // InternalError, UnknownError, OperationFailed: nobody knows.
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
        // operator can mend them, and then the results must still be there.
        | 13 | 18 | 391
        // UserWritesBlocked, ExceededMemoryLimit, OutOfDiskSpace, AtlasError.
        | 371 | 146 | 14031 | 8000
    );
    passing || is_change_of_primary(code)
}

#[cfg(test)]
mod tests {
    use mongodb::bson::doc;

    use super::*;

    #[test]
    fn a_write_that_the_majority_has_not_confirmed_is_no_write() {
        let reply =
            doc! { "n": 1, "ok": 1, "writeConcernError": { "code": 64, "errmsg": "timeout" } };
        assert!(matches!(
            read(&reply, 1),
            Err(LogUnavailable::Unconfirmed(_))
        ));
    }

    #[test]
    fn a_reply_that_leaves_a_statement_out_is_no_confirmation() {
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
    fn the_fault_of_one_statement_is_told_from_the_state_of_the_server() {
        let reply = |code: i32| {
            let error = doc! { "index": 1, "code": code, "errmsg": "why" };
            doc! { "ok": 1, "n": 1, "writeErrors": [error] }
        };
        let refused = Fault::Refused {
            code: 121,
            reason: "why".to_owned(),
        };
        assert_eq!(
            read(&reply(121), 2).unwrap(),
            BTreeMap::from([(1, refused)])
        );
        for passing in [91, 112, 189, 10107, 14031] {
            let read = read(&reply(passing), 2);
            assert!(
                matches!(read, Err(LogUnavailable::Unconfirmed(_))),
                "{passing}"
            );
        }
    }

    #[test]
    fn only_a_duplicate_of_the_record_key_means_that_the_record_exists() {
        let reply = |pattern: Document| {
            let error = doc! { "index": 0, "code": DUPLICATE_KEY, "keyPattern": pattern };
            doc! { "ok": 1, "n": 0, "writeErrors": [error] }
        };
        let ours = read(&reply(doc! { "_id": 1 }), 1).unwrap();
        assert_eq!(ours.get(&0), Some(&Fault::RecordExists));
        let theirs = read(&reply(doc! { "payload.id": 1 }), 1).unwrap();
        assert!(matches!(theirs.get(&0), Some(Fault::Refused { .. })));
    }
}
