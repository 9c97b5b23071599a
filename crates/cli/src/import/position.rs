//! Progress of an import, stored in a file so that it survives a kill.
//!
//! The first line of the file has the start time and the producer's address. Each further
//! line records a batch whose lines were all accepted or rejected. The file only grows, so
//! a kill leaves at most one incomplete last line, which is ignored. Another file of the same
//! name is never changed.

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};
use wahook_domain::UnixMillis;
use wahook_runtime::{printable, private_file};

use super::used_files::UsedFiles;

const VERSION: u32 = 1;
/// First bytes of every progress file.
const HEAD: &str = r#"{"wahook_import":"#;
const FOREIGN: &str = "not written by `wahook import`; set another file with --position";

#[derive(Debug)]
pub(super) struct Position {
    /// `None` if the progress is not stored.
    file: Option<File>,
    /// Start of the first run.
    pub(super) begun_at: UnixMillis,
    /// `None` before the first batch.
    pub(super) mark: Option<Mark>,
    /// Length of the file of rejected lines at the start of the first run, if stored.
    refused_from: Option<u64>,
}

/// Start of a new import, for a file without stored progress.
#[derive(Debug)]
pub(super) struct Begin<'a> {
    /// Address of the producer, without password.
    pub(super) to: &'a str,
    pub(super) now: UnixMillis,
    /// Length of the file of rejected lines.
    pub(super) refused_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    wahook_import: u32,
    to: String,
    begun_at: UnixMillis,
    /// Missing in files of earlier versions.
    refused_from: Option<u64>,
}

/// Last line that was accepted or rejected, and the counts up to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) line: u64,
    /// Offset of the line in bytes, decompressed.
    pub(super) start: u64,
    /// Hash of the line, to detect another file.
    pub(super) sha256: String,
    #[serde(flatten)]
    pub(super) tally: Tally,
    /// Length of the file of rejected lines at this mark.
    pub(super) refused_bytes: u64,
}

/// Counts of lines by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    #[serde(rename = "taken")]
    pub(super) accepted: u64,
    /// Accepted lines that are duplicates.
    pub(super) repeated: u64,
    /// Accepted lines that no endpoint wants.
    pub(super) unwanted: u64,
    /// Accepted lines that differ from the documented form.
    pub(super) warned: u64,
    pub(super) refused: u64,
}

impl Tally {
    pub(super) const fn lines(&self) -> u64 {
        self.accepted + self.refused
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            accepted: self.accepted + other.accepted,
            repeated: self.repeated + other.repeated,
            unwanted: self.unwanted + other.unwanted,
            warned: self.warned + other.warned,
            refused: self.refused + other.refused,
        }
    }
}

impl Position {
    /// Creates a position that is not stored.
    pub(super) const fn in_memory(now: UnixMillis) -> Self {
        Self {
            file: None,
            begun_at: now,
            mark: None,
            refused_from: None,
        }
    }

    /// Opens the stored position, or creates one; `restart` discards the stored one.
    pub(super) fn open(
        path: &Path,
        begin: &Begin<'_>,
        restart: bool,
        used: &UsedFiles,
    ) -> anyhow::Result<Self> {
        let shown = || {
            let path = path.display();
            format!("progress file {path} (set another with --position)")
        };
        let mut file = match used.open_other(path).with_context(shown)? {
            Some(file) => file,
            None => private_file::create_new(path).with_context(shown)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another import of this file is running"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(shown),
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(shown)?;
        let is_own = text.starts_with(HEAD) || HEAD.starts_with(&text);
        ensure!(is_own, "{}: {FOREIGN}", shown());
        if restart {
            text.clear();
        }
        // Ignore an incomplete last line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let text = text.get(..whole).unwrap_or_default();
        let cut = file.set_len(whole as u64);
        let cut = cut.and_then(|()| file.seek(SeekFrom::End(0)));
        cut.with_context(shown)?;
        let (header, mark) = match read(text, begin.to).with_context(shown)? {
            Some(stored) => stored,
            None => {
                let header = Header {
                    wahook_import: VERSION,
                    to: begin.to.to_owned(),
                    begun_at: begin.now,
                    refused_from: Some(begin.refused_bytes),
                };
                // The timestamps of lines derive from it: it must be durable before the
                // first line is sent.
                append(&mut file, &header).with_context(shown)?;
                sync_folder(path).with_context(shown)?;
                (header, None)
            }
        };
        Ok(Self {
            file: Some(file),
            begun_at: header.begun_at,
            mark,
            refused_from: header.refused_from,
        })
    }

    /// Returns the length of the file of rejected lines at the mark; `None` if unknown.
    pub(super) fn refused_bytes(&self) -> Option<u64> {
        let mark = self.mark.as_ref().map(|mark| mark.refused_bytes);
        mark.or(self.refused_from)
    }

    /// Returns true if a later run can continue.
    pub(super) const fn is_stored(&self) -> bool {
        self.file.is_some()
    }

    /// Records that all lines up to the mark were accepted or rejected.
    pub(super) fn advance(&mut self, mark: Mark) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            append(file, &mark).context("can't store the progress")?;
        }
        self.mark = Some(mark);
        Ok(())
    }
}

fn append(file: &mut File, line: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    file.write_all(&text)?;
    Ok(file.sync_data()?)
}

/// Makes the name of the file durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn read(text: &str, to: &str) -> anyhow::Result<Option<(Header, Option<Mark>)>> {
    let mut lines = text.lines();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    let header: Header = serde_json::from_str(first).context(FOREIGN)?;
    ensure!(header.wahook_import == VERSION, FOREIGN);
    ensure!(
        header.to == to,
        "earlier lines were sent to {}; use this --url, or start from the first line with --restart",
        printable(&header.to)
    );
    let mark = lines.next_back().map(serde_json::from_str).transpose();
    Ok(Some((header, mark.context(FOREIGN)?)))
}

#[cfg(test)]
mod tests;
