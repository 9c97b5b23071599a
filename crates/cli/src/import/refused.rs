//! The lines that were refused, each with its number and the reasons.

use anyhow::Context;
use serde::Serialize;
use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::source::Line;
use crate::answer::Refusal;

/// A file that is there once a line is refused.
#[derive(Debug)]
pub(super) struct RefusedLines {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    /// What belongs to this import.
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
    /// What an earlier run wrote beyond `bytes`, before it was killed, is
    /// written again: those lines are sent again.
    pub(super) fn open(path: PathBuf, bytes: u64) -> anyhow::Result<Self> {
        let mut refused = Self {
            path,
            file: None,
            bytes: 0,
        };
        match OpenOptions::new().write(true).open(&refused.path) {
            Ok(file) => refused.go_on(file, bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
        .with_context(|| refused.path.display().to_string())?;
        Ok(refused)
    }

    fn go_on(&mut self, mut file: File, bytes: u64) -> io::Result<()> {
        self.bytes = bytes.min(file.metadata()?.len());
        file.set_len(self.bytes)?;
        file.seek(SeekFrom::End(0))?;
        self.file = Some(BufWriter::new(file));
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
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

    /// Makes what was added last for good, and says how long the file is.
    pub(super) fn keep(&mut self) -> anyhow::Result<u64> {
        if let Some(file) = &mut self.file {
            let kept = file.flush().and_then(|()| file.get_ref().sync_data());
            kept.with_context(|| self.path.display().to_string())?;
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
        let refusal = Refusal::own("Why", "because");
        refused.add(&line, &refusal).unwrap();
        refused.keep().unwrap()
    }

    #[test]
    fn what_a_killed_run_wrote_of_a_batch_is_not_there_twice() {
        let path = env::temp_dir().join(format!("wahook-refused-{}", process::id()));
        let open = |bytes| RefusedLines::open(path.clone(), bytes).unwrap();
        let mut refused = open(0);
        assert!(!path.exists(), "without a refused line there is no file");
        let noted = add(&mut refused, 3);
        add(&mut refused, 7);
        drop(refused);
        let mut refused = open(noted);
        add(&mut refused, 7);
        let text = fs::read_to_string(&path).unwrap();
        let entry = |number| {
            format!(
                "{{\"line\":{number},\"status\":0,\"title\":\"Why\",\"detail\":\"because\",\"text\":\"{{\u{fffd}\"}}\n"
            )
        };
        assert_eq!(text, entry(3) + &entry(7));
        fs::remove_file(&path).unwrap();
        // Whoever has taken the file away gets the rest of the lines in a new one.
        assert_eq!(add(&mut open(noted), 9), entry(9).len() as u64);
        fs::remove_file(&path).unwrap();
    }
}
