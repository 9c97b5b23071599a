//! How far is an import, whatever happened to the last run of it?
//!
//! A file beside the imported one: a first line that says when and where to, and
//! one line more for each batch whose every line is settled. It only grows, so a
//! kill leaves at most a last line without an end, which says nothing.

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::Path,
};
use wahook_domain::UnixMillis;

const VERSION: u32 = 1;

/// Where an import is.
#[derive(Debug)]
pub(super) struct Position {
    /// None where nobody keeps it.
    file: Option<File>,
    /// When its first run began.
    pub(super) begun_at: UnixMillis,
    /// None before the first batch.
    pub(super) mark: Option<Mark>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Beginning {
    wahook_import: u32,
    to: String,
    begun_at: UnixMillis,
}

/// The last line that is settled, and what became of all until then.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) line: u64,
    /// Where the line begins, in bytes, unpacked.
    pub(super) start: u64,
    /// Of the line, so that another file is not taken for this one.
    pub(super) sha256: String,
    #[serde(flatten)]
    pub(super) tally: Tally,
    /// How much of the file of refused lines belongs to it.
    pub(super) refused_bytes: u64,
}

/// How many lines were what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) taken: u64,
    /// Those of the taken that the producer had taken before.
    pub(super) repeated: u64,
    /// Those of the taken that no endpoint wants.
    pub(super) unwanted: u64,
    /// Those of the taken that differ from what is documented.
    pub(super) warned: u64,
    pub(super) refused: u64,
}

impl Tally {
    pub(super) const fn lines(&self) -> u64 {
        self.taken + self.refused
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            taken: self.taken + other.taken,
            repeated: self.repeated + other.repeated,
            unwanted: self.unwanted + other.unwanted,
            warned: self.warned + other.warned,
            refused: self.refused + other.refused,
        }
    }
}

impl Position {
    /// For an import that can't go on where it stopped.
    pub(super) const fn unkept(now: UnixMillis) -> Self {
        Self {
            file: None,
            begun_at: now,
            mark: None,
        }
    }

    /// Reads how far it is, or begins; `anew` forgets what was.
    pub(super) fn open(path: &Path, to: &str, now: UnixMillis, anew: bool) -> anyhow::Result<Self> {
        let shown = || {
            let path = path.display();
            format!("the position in {path} (--position names another file)")
        };
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).with_context(shown)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another import of this file is running"),
            Err(TryLockError::Error(error)) => return Err(error).with_context(shown),
        }
        if anew {
            file.set_len(0).with_context(shown)?;
        }
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(shown)?;
        // What a kill has cut off says nothing.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let text = text.get(..whole).unwrap_or_default();
        let cut = file.set_len(whole as u64);
        let cut = cut.and_then(|()| file.seek(SeekFrom::End(0)));
        cut.with_context(shown)?;
        let (begun_at, mark) = match read(text, to).with_context(shown)? {
            Some(known) => known,
            None => {
                let beginning = Beginning {
                    wahook_import: VERSION,
                    to: to.to_owned(),
                    begun_at: now,
                };
                // The times that lines are given rest on it: it must last before
                // the first line is sent.
                append(&mut file, &beginning).with_context(shown)?;
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

    /// Whether a later run will know of it.
    pub(super) const fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// All lines until this one are settled, for good.
    pub(super) fn advance(&mut self, mark: Mark) -> anyhow::Result<()> {
        if let Some(file) = &mut self.file {
            append(file, &mark).context("the position can't be kept")?;
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

/// A file's name lasts when its folder does.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn read(text: &str, to: &str) -> anyhow::Result<Option<(UnixMillis, Option<Mark>)>> {
    let mut lines = text.lines();
    let Some(first) = lines.next() else {
        return Ok(None);
    };
    const FOREIGN: &str = "it is not one that `wahook import` wrote; name another with --position";
    let beginning: Beginning = serde_json::from_str(first).context(FOREIGN)?;
    ensure!(beginning.wahook_import == VERSION, FOREIGN);
    ensure!(
        beginning.to == to,
        "the lines before it went to {}; use that --url, or begin anew with --restart",
        beginning.to
    );
    let mark = lines.next_back().map(serde_json::from_str).transpose();
    Ok(Some((beginning.begun_at, mark.context(FOREIGN)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, path::PathBuf, process};

    const TO: &str = "http://127.0.0.1:8080";

    struct Kept(PathBuf);

    impl Kept {
        fn named(name: &str) -> Self {
            let name = format!("wahook-position-{name}-{}", process::id());
            Self(env::temp_dir().join(name))
        }

        fn open(&self, now: i64) -> Position {
            Position::open(&self.0, TO, UnixMillis::new(now), false).unwrap()
        }
    }

    impl Drop for Kept {
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
    fn a_later_run_knows_when_the_first_began_and_where_the_last_was() {
        let kept = Kept::named("later");
        let mut position = kept.open(5);
        assert_eq!(position.mark, None);
        position.advance(mark(10)).unwrap();
        position.advance(mark(20)).unwrap();
        drop(position);
        let position = kept.open(99);
        assert_eq!(position.begun_at, UnixMillis::new(5));
        assert_eq!(position.mark, Some(mark(20)));
    }

    /// Wherever a kill cuts the file off, what was whole before counts.
    #[test]
    fn a_line_that_was_cut_says_nothing_and_is_overwritten() {
        let kept = Kept::named("cut");
        let mut position = kept.open(5);
        let first = fs::read(&kept.0).unwrap().len();
        position.advance(mark(10)).unwrap();
        drop(position);
        let whole = fs::read(&kept.0).unwrap();
        for length in (first..whole.len()).rev() {
            fs::write(&kept.0, &whole[..length]).unwrap();
            assert_eq!(kept.open(6).mark, None, "{length}");
        }
        kept.open(6).advance(mark(30)).unwrap();
        assert_eq!(kept.open(7).mark, Some(mark(30)));
        fs::write(&kept.0, &whole[..first - 1]).unwrap();
        assert_eq!(kept.open(8).begun_at, UnixMillis::new(8));
    }

    #[test]
    fn one_import_runs_at_a_time_and_goes_where_it_went() {
        let kept = Kept::named("alone");
        let position = kept.open(5);
        let now = UnixMillis::new(6);
        let error = Position::open(&kept.0, TO, now, false).unwrap_err();
        assert!(format!("{error:#}").contains("another import"), "{error:#}");
        drop(position);
        let error = Position::open(&kept.0, "http://other", now, false).unwrap_err();
        assert!(format!("{error:#}").contains(TO), "{error:#}");
        let anew = Position::open(&kept.0, "http://other", now, true).unwrap();
        assert_eq!(anew.begun_at, now);
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let kept = Kept::named("foreign");
        fs::write(&kept.0, "{\"mine\":1}\n").unwrap();
        let error = Position::open(&kept.0, TO, UnixMillis::new(1), false).unwrap_err();
        assert!(format!("{error:#}").contains("--position"), "{error:#}");
        assert_eq!(fs::read(&kept.0).unwrap(), b"{\"mine\":1}\n");
    }
}
