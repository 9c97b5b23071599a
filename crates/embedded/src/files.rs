//! Owner and permissions of the data file and the files next to it. They hold every message,
//! and a process that may read them can stop all writes by a lock.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use wahook_runtime::private_file::{self, PrivateFileError};

use crate::error::OpenError;

/// Suffixes of the data file and its companions: write-ahead log and its index.
const SUFFIXES: [&str; 3] = ["", "-wal", "-shm"];

/// Creates the data file if it does not exist. SQLite creates the other files with its mode.
pub(crate) fn create(path: &Path) -> Result<(), OpenError> {
    match private_file::create_new(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(OpenError::Lock(path.to_owned(), error)),
    }
}

/// Checks that the existing files belong to this user.
pub(crate) fn check_owner(path: &Path) -> Result<(), OpenError> {
    for file in existing(path) {
        let checked = fs::symlink_metadata(&file)
            .map_err(PrivateFileError::from)
            .and_then(|found| private_file::check_own(&found));
        checked.map_err(|error| OpenError::of_file(file, error))?;
    }
    Ok(())
}

/// Checks that the data file belongs to this user, unless this is root, for commands next to
/// a running process.
pub(crate) fn check_owner_or_root(path: &Path) -> Result<(), OpenError> {
    if private_file::effective_user() == 0 {
        return Ok(());
    }
    check_owner(path)
}

/// Takes the permissions of other users from all files.
pub(crate) fn tighten(path: &Path) -> Result<(), OpenError> {
    for file in existing(path) {
        tighten_one(&file)?;
    }
    Ok(())
}

/// Takes the permissions of other users from a file, and logs it.
pub(crate) fn tighten_one(file: &Path) -> Result<(), OpenError> {
    let tightened = private_file::tighten(file);
    let tightened = tightened.map_err(|error| OpenError::Lock(file.to_owned(), error))?;
    if let Some(mode) = tightened {
        tracing::warn!(
            path = %file.display(),
            "file was accessible to other users, mode {mode:o} reduced to {:o}",
            mode & !0o077
        );
    }
    Ok(())
}

/// Returns the existing files. A data file that is a link is resolved, as SQLite does.
fn existing(path: &Path) -> Vec<PathBuf> {
    let Ok(path) = fs::canonicalize(path) else {
        return Vec::new();
    };
    let with_suffix = |suffix: &str| {
        let mut name = OsString::from(&path);
        name.push(suffix);
        PathBuf::from(name)
    };
    let files = SUFFIXES.iter().map(|suffix| with_suffix(suffix));
    files
        .filter(|file| fs::symlink_metadata(file).is_ok())
        .collect()
}
