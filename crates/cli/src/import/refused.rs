//! File of rejected lines, each with its number and the reasons.

use anyhow::{Context, ensure};
use serde::Serialize;
use std::{
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};
use wahook_runtime::private_file;

use super::{source::Line, used_files::UsedFiles};
use crate::answer::Refusal;

/// First bytes of every entry.
const HEAD: &[u8] = br#"{"line":"#;

/// File of rejected lines, created with the first one. Entries of earlier imports are kept,
/// and another file of the same name is never changed.
#[derive(Debug)]
pub(super) struct RefusedLines {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// Length of the file, without entries that are about to be removed.
    bytes: u64,
    /// Entries after `bytes` are removed before the next write.
    has_surplus: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    line: u64,
    #[serde(flatten)]
    refusal: &'a Refusal,
    text: &'a str,
}

impl RefusedLines {
    /// Opens the file if it exists and was written by an import. It stays unchanged until a
    /// line is rejected. Adds it to the used files.
    pub(super) fn open(path: PathBuf, used: &mut UsedFiles) -> anyhow::Result<Self> {
        let shown = || {
            let path = path.display();
            format!("file of rejected lines {path} (set another with --refused)")
        };
        let (mut file, mut bytes) = (None, 0);
        if let Some(mut found) = used.open_other(&path).with_context(shown)? {
            ensure!(
                is_own(&mut found).with_context(shown)?,
                "{}: not written by `wahook import`",
                shown()
            );
            used.add(&found).with_context(shown)?;
            bytes = found.seek(SeekFrom::End(0)).with_context(shown)?;
            file = Some(BufWriter::new(found));
        }
        Ok(Self {
            path,
            file,
            bytes,
            has_surplus: false,
        })
    }

    /// Continues an import that had written `bytes`, if known. A killed run may have written
    /// more, and this one sends those lines again.
    pub(super) fn continue_at(&mut self, bytes: Option<u64>) {
        if let (Some(bytes), Some(file)) = (bytes, &self.file)
            && bytes < self.bytes
            && is_end_of_entry(file.get_ref(), bytes)
        {
            self.bytes = bytes;
            self.has_surplus = true;
        }
    }

    /// Returns the length of the file.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn add(&mut self, line: &Line, refusal: &Refusal) -> anyhow::Result<()> {
        let mut entry = serde_json::to_vec(&Entry {
            line: line.number,
            refusal,
            text: &String::from_utf8_lossy(&line.text),
        })?;
        entry.push(b'\n');
        self.remove_surplus()?;
        let added = match &mut self.file {
            Some(file) => file.write_all(&entry),
            None => private_file::create_new(&self.path).and_then(|file| {
                let file = self.file.insert(BufWriter::new(file));
                file.write_all(&entry)
            }),
        };
        added.with_context(|| self.path.display().to_string())?;
        self.bytes += entry.len() as u64;
        Ok(())
    }

    /// Makes the entries durable and returns the length of the file.
    pub(super) fn sync(&mut self) -> anyhow::Result<u64> {
        self.remove_surplus()?;
        if let Some(file) = &mut self.file {
            let synced = file.flush().and_then(|()| file.get_ref().sync_data());
            synced.with_context(|| self.path.display().to_string())?;
        }
        Ok(self.bytes)
    }

    fn remove_surplus(&mut self) -> anyhow::Result<()> {
        if let (true, Some(file)) = (self.has_surplus, &mut self.file) {
            let removed = file.get_ref().set_len(self.bytes);
            let removed = removed.and_then(|()| file.seek(SeekFrom::End(0)));
            removed.with_context(|| self.path.display().to_string())?;
            self.has_surplus = false;
        }
        Ok(())
    }
}

/// Returns true if the file is empty or starts with an entry.
fn is_own(file: &mut File) -> io::Result<bool> {
    let mut head = Vec::new();
    file.take(HEAD.len() as u64).read_to_end(&mut head)?;
    Ok(head.is_empty() || head == HEAD)
}

/// Returns true if an entry ends at this offset.
fn is_end_of_entry(file: &File, offset: u64) -> bool {
    let mut last = [0];
    let Some(before) = offset.checked_sub(1) else {
        return true;
    };
    file.read_exact_at(&mut last, before).is_ok() && last == *b"\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{env, fs, process};

    fn add(refused: &mut RefusedLines, number: u64) -> u64 {
        let line = Line {
            number,
            start: 0,
            text: b"{\xff".to_vec(),
        };
        let refusal = Refusal::local("Why", "because");
        refused.add(&line, &refusal).unwrap();
        refused.sync().unwrap()
    }

    #[test]
    fn entries_of_a_killed_run_are_not_duplicated() {
        let path = env::temp_dir().join(format!("wahook-refused-{}", process::id()));
        let open = |bytes| {
            let mut refused = RefusedLines::open(path.clone(), &mut UsedFiles::default()).unwrap();
            refused.continue_at(Some(bytes));
            refused
        };
        let mut refused = open(0);
        assert!(!path.exists(), "without a rejected line there is no file");
        let recorded = add(&mut refused, 3);
        add(&mut refused, 7);
        drop(refused);
        let mut refused = open(recorded);
        add(&mut refused, 7);
        let text = fs::read_to_string(&path).unwrap();
        let entry = |number| {
            format!(
                "{{\"line\":{number},\"status\":0,\"title\":\"Why\",\"detail\":\"because\",\"text\":\"{{\u{fffd}\"}}\n"
            )
        };
        assert_eq!(text, entry(3) + &entry(7));
        fs::remove_file(&path).unwrap();
        // If the file was removed, the remaining lines go to a new one.
        assert_eq!(add(&mut open(recorded), 9), entry(9).len() as u64);
        // Unknown progress, or an offset within an entry: all entries are kept.
        let all = entry(9) + &entry(4);
        assert_eq!(add(&mut open(5), 4), all.len() as u64);
        assert_eq!(fs::read_to_string(&path).unwrap(), all);
        // Nothing to import: the file is unchanged.
        drop(open(0));
        assert_eq!(fs::read_to_string(&path).unwrap(), all);
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn foreign_file_and_input_are_refused_and_unchanged() {
        let path = env::temp_dir().join(format!("wahook-refused-foreign-{}", process::id()));
        fs::write(&path, "my notes").unwrap();
        let foreign = RefusedLines::open(path.clone(), &mut UsedFiles::default());
        let foreign = format!("{:#}", foreign.unwrap_err());
        assert!(foreign.contains("not written by"), "{foreign}");
        fs::write(&path, "{\"line\":1}\n").unwrap();
        let mut used = UsedFiles::default();
        used.add(&File::open(&path).unwrap()).unwrap();
        let input = format!(
            "{:#}",
            RefusedLines::open(path.clone(), &mut used).unwrap_err()
        );
        assert!(input.contains("it is the input"), "{input}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"line\":1}\n");
        fs::remove_file(&path).unwrap();
    }
}
