//! Exclusive lock of a data file.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use wahook_runtime::private_file;

use crate::{error::OpenError, files};

/// Exclusive lock of a data file, released on drop and when the process ends.
///
/// The lock is held on a file of its own, because SQLite drops its locks on the database
/// when the process closes any handle to it.
pub(crate) struct FileLock(File);

impl FileLock {
    /// Locks the data file at `path`. Other users can't open the lock file, so they can't
    /// hold the lock.
    ///
    /// # Errors
    /// If another process holds the lock, or the lock file cannot be opened.
    pub(crate) fn acquire(path: &Path) -> Result<Self, OpenError> {
        let mut name = OsString::from(path);
        name.push(".lock");
        let name = PathBuf::from(name);
        let refused = |error| OpenError::Lock(path.to_owned(), error);
        let file = private_file::open_or_create(&name)
            .map_err(|error| OpenError::of_file(name.clone(), error))?;
        files::tighten_one(&name)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_owned())),
            Err(TryLockError::Error(error)) => Err(refused(error)),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process between fork and exec has a copy of
        // the descriptor, and the lock would last until its exec. Unlocking ends it for all copies.
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "data file lock not released");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_lock_is_free_although_a_copy_of_its_descriptor_is_open() {
        let path = std::env::temp_dir().join(format!("wahook-lock-{}", std::process::id()));
        let lock = FileLock::acquire(&path).unwrap();
        assert!(matches!(FileLock::acquire(&path), Err(OpenError::InUse(_))));
        let copy = lock.0.try_clone().unwrap();
        drop(lock);
        let again = FileLock::acquire(&path);
        drop(copy);
        let _ = std::fs::remove_file(path.with_extension("lock"));
        assert!(again.is_ok());
    }
}
