//! Progress of an import, stored in a file so that it survives a kill.
//!
//! The first line of the file has the start time and the producer's address. Each further
//! line records a batch whose lines were all accepted or rejected. The file only grows, so
//! a kill leaves at most one incomplete last line, which is ignored.

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};
use wahook_domain::UnixMillis;

const VERSION: u32 = 1;

#[derive(Debug)]
pub(super) struct Position {
    /// `None` if the progress is not stored.
    file: Option<File>,
    /// Start of the first run.
    pub(super) begun_at: UnixMillis,
    /// `None` before the first batch.
    pub(super) mark: Option<Mark>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    wahook_import: u32,
    to: String,
    begun_at: UnixMillis,
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
        }
    }

    /// Opens the stored position, or creates one; `restart` discards the stored one.
    pub(super) fn open(
        path: &Path,
        to: &str,
        now: UnixMillis,
        restart: bool,
    ) -> anyhow::Result<Self> {
        let shown = || {
            let path = path.display();
            format!("progress file {path} (set another with --position)")
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).with_context(shown)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another import of this file is running"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(shown),
        }
        if restart {
            file.set_len(0).with_context(shown)?;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(shown)?;
        // Ignore an incomplete last line.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let text = text.get(..whole).unwrap_or_default();
        let cut = file.set_len(whole as u64);
        let cut = cut.and_then(|()| file.seek(SeekFrom::End(0)));
        cut.with_context(shown)?;
        let (begun_at, mark) = match read(text, to).with_context(shown)? {
            Some(stored) => stored,
            None => {
                let header = Header {
                    wahook_import: VERSION,
                    to: to.to_owned(),
                    begun_at: now,
                };
                // The timestamps of lines derive from it: it must be durable before the
                // first line is sent.
                append(&mut file, &header).with_context(shown)?;
                sync_folder(path).with_context(shown)?;
                (now, None)
            }
        };
        Ok(Self {
            file: Some(file),
            begun_at,
            mark,
        })
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

fn read(text: &str, to: &str) -> anyhow::Result<Option<(UnixMillis, Option<Mark>)>> {
    let mut lines = text.lines();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    const FOREIGN: &str = "not written by `wahook import`; set another file with --position";
    let header: Header = serde_json::from_str(first).context(FOREIGN)?;
    ensure!(header.wahook_import == VERSION, FOREIGN);
    ensure!(
        header.to == to,
        "earlier lines were sent to {}; use this --url, or start from the first line with --restart",
        header.to
    );
    let mark = lines.next_back().map(serde_json::from_str).transpose();
    Ok(Some((header.begun_at, mark.context(FOREIGN)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, path::PathBuf, process};

    const TO: &str = "http://127.0.0.1:8080";

    struct TemporaryFile(PathBuf);

    impl TemporaryFile {
        fn named(name: &str) -> Self {
            let name = format!("wahook-position-{name}-{}", process::id());
            Self(env::temp_dir().join(name))
        }

        fn open(&self, now: i64) -> Position {
            Position::open(&self.0, TO, UnixMillis::new(now), false).unwrap()
        }
    }

    impl Drop for TemporaryFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn mark(line: u64) -> Mark {
        Mark {
            line,
            sha256: "ab".to_owned(),
            ..Mark::default()
        }
    }

    #[test]
    fn later_run_reads_the_start_time_and_the_last_mark() {
        let file = TemporaryFile::named("later");
        let mut position = file.open(5);
        assert_eq!(position.mark, None);
        position.advance(mark(10)).unwrap();
        position.advance(mark(20)).unwrap();
        drop(position);
        let position = file.open(99);
        assert_eq!(position.begun_at, UnixMillis::new(5));
        assert_eq!(position.mark, Some(mark(20)));
    }

    #[test]
    fn incomplete_last_line_is_ignored_and_overwritten() {
        let file = TemporaryFile::named("cut");
        let mut position = file.open(5);
        let first = fs::read(&file.0).unwrap().len();
        position.advance(mark(10)).unwrap();
        drop(position);
        let whole = fs::read(&file.0).unwrap();
        for length in (first..whole.len()).rev() {
            fs::write(&file.0, &whole[..length]).unwrap();
            assert_eq!(file.open(6).mark, None, "{length}");
        }
        file.open(6).advance(mark(30)).unwrap();
        assert_eq!(file.open(7).mark, Some(mark(30)));
        fs::write(&file.0, &whole[..first - 1]).unwrap();
        assert_eq!(file.open(8).begun_at, UnixMillis::new(8));
    }

    #[test]
    fn second_import_and_other_producer_are_rejected() {
        let file = TemporaryFile::named("alone");
        let position = file.open(5);
        let now = UnixMillis::new(6);
        let error = Position::open(&file.0, TO, now, false).unwrap_err();
        assert!(format!("{error:#}").contains("another import"), "{error:#}");
        drop(position);
        let error = Position::open(&file.0, "http://other", now, false).unwrap_err();
        assert!(format!("{error:#}").contains(TO), "{error:#}");
        let restarted = Position::open(&file.0, "http://other", now, true).unwrap();
        assert_eq!(restarted.begun_at, now);
    }

    #[test]
    fn foreign_file_is_rejected_and_unchanged() {
        let file = TemporaryFile::named("foreign");
        fs::write(&file.0, "{\"mine\":1}\n").unwrap();
        let error = Position::open(&file.0, TO, UnixMillis::new(1), false).unwrap_err();
        assert!(format!("{error:#}").contains("--position"), "{error:#}");
        assert_eq!(fs::read(&file.0).unwrap(), b"{\"mine\":1}\n");
    }
}
