//! File of rejected lines, each with its number and the reasons.

use anyhow::Context;
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::source::Line;
use crate::answer::Refusal;

/// File of rejected lines, created with the first one.
#[derive(Debug)]
pub(super) struct RefusedLines {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// Length of the entries of this import.
    bytes: u64,
}

#[derive(Serialize)]
struct Entry<'a> {
    line: u64,
    #[serde(flatten)]
    refusal: &'a Refusal,
    text: &'a str,
}

impl RefusedLines {
    /// Opens the file and cuts it to `bytes`: a killed run may have written more, and sends
    /// those lines again.
    pub(super) fn open(path: PathBuf, bytes: u64) -> anyhow::Result<Self> {
        let mut refused = Self {
            path,
            file: None,
            bytes: 0,
        };
        match OpenOptions::new().write(true).open(&refused.path) {
            Ok(file) => refused.resume(file, bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
        .with_context(|| refused.path.display().to_string())?;
        Ok(refused)
    }

    fn resume(&mut self, mut file: File, bytes: u64) -> io::Result<()> {
        self.bytes = bytes.min(file.metadata()?.len());
        file.set_len(self.bytes)?;
        file.seek(SeekFrom::End(0))?;
        self.file = Some(BufWriter::new(file));
        Ok(())
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
        let added = match &mut self.file {
            Some(file) => file.write_all(&entry),
            None => File::create(&self.path).and_then(|file| {
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
        if let Some(file) = &mut self.file {
            let synced = file.flush().and_then(|()| file.get_ref().sync_data());
            synced.with_context(|| self.path.display().to_string())?;
        }
        Ok(self.bytes)
    }
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
        let open = |bytes| RefusedLines::open(path.clone(), bytes).unwrap();
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
        fs::remove_file(&path).unwrap();
    }
}
