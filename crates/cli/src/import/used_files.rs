//! Files of an import. Their default names derive from the input's name, so another file or a
//! link may have them: such a file is never written.

use anyhow::{Context, ensure};
use std::{fs::File, os::fd::AsFd, path::Path};
use wahook_runtime::private_file::{self, FileId};

/// Files that are in use by this import, and must not be written for another purpose.
#[derive(Debug, Default)]
pub(super) struct UsedFiles(Vec<FileId>);

impl UsedFiles {
    /// Adds an open file.
    pub(super) fn add(&mut self, file: &impl AsFd) -> anyhow::Result<()> {
        let file = File::from(file.as_fd().try_clone_to_owned()?);
        self.0.push(FileId::of(&file.metadata()?));
        Ok(())
    }

    /// Opens an existing file of this user for reading and writing, without changing it;
    /// `None` if there is none.
    pub(super) fn open_other(&self, path: &Path) -> anyhow::Result<Option<File>> {
        let Some(file) = private_file::open_existing(path)? else {
            return Ok(None);
        };
        let id = FileId::of(&file.metadata().context("can't be read")?);
        ensure!(
            !self.0.contains(&id),
            "it is the input or another file of this import: choose another name"
        );
        Ok(Some(file))
    }
}
