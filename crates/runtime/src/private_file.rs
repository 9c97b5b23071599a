//! Files that only the user of this process can read and write. Links are never followed,
//! and files of other users are never opened.

use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use nix::{fcntl::OFlag, unistd::Uid};

/// Mode of the files: only their owner can read and write them.
const MODE: u32 = 0o600;
/// Permissions of the owner's group and of all other users.
const OTHERS: u32 = 0o077;

/// Reason why a file is not used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The file can't be created, opened or changed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The name is a symbolic link.
    #[error("it is a symbolic link, which is not followed: remove it or choose another name")]
    Link,
    /// The name belongs to a folder, a pipe or a device.
    #[error("it is not a regular file: choose another name")]
    NotRegular,
    /// The file belongs to another user.
    #[error(
        "it belongs to user {owner}, but this program runs as user {user}: run it as its owner, \
         or change the owner (chown)"
    )]
    Owner {
        /// User id of the file's owner.
        owner: u32,
        /// User id of this process.
        user: u32,
    },
}

/// Identity of a file, the same for all its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// Returns the identity of an open file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// Creates a file with mode 0600 for reading and writing.
///
/// # Errors
/// If anything has this name, also a link to nothing, or the file can't be created.
pub fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create_new(true);
    options.mode(MODE).open(path)
}

/// Opens an existing file for reading and writing; `None` if there is none. Its content is
/// unchanged.
///
/// # Errors
/// If the name is a link, or the file is not a regular one of this user, or can't be opened.
pub fn open_existing(path: &Path) -> Result<Option<File>, PrivateFileError> {
    match fs::symlink_metadata(path) {
        Ok(found) => check_own(&found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).custom_flags(flags.bits());
    let file = options.open(path)?;
    // The name may belong to another file by now.
    check_own(&file.metadata()?)?;
    Ok(Some(file))
}

/// Opens a file for reading and writing, or creates it with mode 0600.
///
/// # Errors
/// As [`open_existing`] and [`create_new`].
pub fn open_or_create(path: &Path) -> Result<File, PrivateFileError> {
    if let Some(file) = open_existing(path)? {
        return Ok(file);
    }
    match create_new(path) {
        Ok(file) => Ok(file),
        // Another process was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open_existing(path)?.ok_or_else(|| error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks that a regular file of this user is found.
///
/// # Errors
/// If it is a link or no regular file, or belongs to another user.
pub fn check_own(found: &Metadata) -> Result<(), PrivateFileError> {
    if found.is_symlink() {
        return Err(PrivateFileError::Link);
    }
    if !found.is_file() {
        return Err(PrivateFileError::NotRegular);
    }
    let (owner, user) = (found.uid(), effective_user());
    if owner == user {
        Ok(())
    } else {
        Err(PrivateFileError::Owner { owner, user })
    }
}

/// Returns the id of the user whose rights this process has.
#[must_use]
pub fn effective_user() -> u32 {
    Uid::effective().as_raw()
}

/// Takes the permissions of all other users from a file. Returns its mode before, if it had
/// any of them.
///
/// # Errors
/// If the file does not exist or can't be changed.
pub fn tighten(path: &Path) -> io::Result<Option<u32>> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(None);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & !OTHERS))?;
    Ok(Some(mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::{env, process};

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("wahook-private-{name}-{}", process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn new_file_has_mode_0600_and_an_open_one_is_tightened() {
        let folder = Folder::new("mode");
        let path = folder.0.join("file");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(open_or_create(&path).unwrap());
        assert_eq!(mode(), 0o600);
        assert_eq!(tighten(&path).unwrap(), None);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(tighten(&path).unwrap(), Some(0o644));
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn links_and_folders_are_not_opened() {
        let folder = Folder::new("links");
        let (target, link) = (folder.0.join("target"), folder.0.join("link"));
        symlink(&target, &link).unwrap();
        let refused = open_or_create(&link);
        assert!(
            matches!(refused, Err(PrivateFileError::Link)),
            "{refused:?}"
        );
        assert!(create_new(&link).is_err());
        assert!(!target.exists());
        fs::write(&target, "mine").unwrap();
        assert!(open_existing(&link).is_err());
        let refused = open_existing(&folder.0);
        let not_regular = matches!(refused, Err(PrivateFileError::NotRegular));
        assert!(not_regular, "{refused:?}");
        assert!(open_existing(&folder.0.join("missing")).unwrap().is_none());
    }

    #[test]
    fn names_of_one_file_have_the_same_identity() {
        let folder = Folder::new("identity");
        let (one, other) = (folder.0.join("one"), folder.0.join("other"));
        drop(create_new(&one).unwrap());
        fs::hard_link(&one, &other).unwrap();
        let id = |path: &Path| FileId::of(&fs::metadata(path).unwrap());
        assert_eq!(id(&one), id(&other));
        assert_ne!(id(&one), id(&folder.0));
    }
}
