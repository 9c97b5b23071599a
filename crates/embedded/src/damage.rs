//! Damage of the data file. It is permanent: only a repaired or restored file, and a restart,
//! end it. Accepting events would promise a delivery that may never happen.

use rusqlite::{Error, ErrorCode, ffi};

/// Errors of the operating system while it reads the file.
const READ_ERRORS: [i32; 4] = [
    ffi::SQLITE_IOERR_READ,
    ffi::SQLITE_IOERR_SHORT_READ,
    ffi::SQLITE_IOERR_CORRUPTFS,
    ffi::SQLITE_IOERR_DATA,
];

/// Returns true if the error shows that content of the file is lost.
#[must_use]
pub fn is_damage(error: &Error) -> bool {
    let Error::SqliteFailure(failure, _) = error else {
        return false;
    };
    match failure.code {
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => true,
        ErrorCode::SystemIoFailure => READ_ERRORS.contains(&failure.extended_code),
        _ => false,
    }
}

/// Returns what an operator can do about the error, as the end of its text; empty if it is
/// no damage.
pub(crate) fn advice(error: &Error) -> &'static str {
    if is_damage(error) {
        "; the file is damaged: run `wahook check`, then restore a backup, or move the file away \
         to start with an empty one"
    } else {
        ""
    }
}

/// First damage that was found, if any.
#[derive(Debug, Default)]
pub(crate) struct Damage(Option<String>);

impl Damage {
    /// Records and logs the error if it is the first one that shows damage. Returns true if
    /// so.
    pub(crate) fn observe(&mut self, error: &Error) -> bool {
        if self.0.is_some() || !is_damage(error) {
            return false;
        }
        tracing::error!(
            %error,
            "data file damaged, rejecting events; stop wahook, run `wahook check`, then restore \
             a backup, or move the file away to start with an empty one"
        );
        self.0 = Some(format!(
            "the data file is damaged ({error}): run `wahook check`"
        ));
        true
    }

    /// Returns the reason for rejecting events.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn lost_content_is_damage_and_a_full_or_busy_disk_is_not() {
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_IOERR_READ,
        ] {
            assert!(is_damage(&failure(code)), "{code}");
        }
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_READONLY,
        ] {
            assert!(!is_damage(&failure(code)), "{code}");
        }
    }

    #[test]
    fn first_damage_is_kept() {
        let mut damage = Damage::default();
        assert!(!damage.observe(&failure(ffi::SQLITE_FULL)));
        assert_eq!(damage.reason(), None);
        assert!(damage.observe(&failure(ffi::SQLITE_CORRUPT)));
        let reason = damage.reason().unwrap().to_owned();
        assert!(!damage.observe(&failure(ffi::SQLITE_NOTADB)));
        assert_eq!(damage.reason(), Some(reason.as_str()));
        assert!(reason.contains("wahook check"), "{reason}");
    }
}
