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
        self.try_open(TO, now, false).unwrap()
    }

    fn try_open(&self, to: &str, now: i64, restart: bool) -> anyhow::Result<Position> {
        let begin = Begin {
            to,
            now: UnixMillis::new(now),
            refused_bytes: 40,
        };
        Position::open(&self.0, &begin, restart, &UsedFiles::default())
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
    assert_eq!(position.refused_bytes(), Some(40));
    position.advance(mark(10)).unwrap();
    position.advance(mark(20)).unwrap();
    drop(position);
    let position = file.open(99);
    assert_eq!(position.refused_bytes(), Some(0));
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
    let error = file.try_open(TO, 6, false).unwrap_err();
    assert!(format!("{error:#}").contains("another import"), "{error:#}");
    drop(position);
    let error = file.try_open("http://other", 6, false).unwrap_err();
    assert!(format!("{error:#}").contains(TO), "{error:#}");
    let restarted = file.try_open("http://other", 6, true).unwrap();
    assert_eq!(restarted.begun_at, UnixMillis::new(6));
}

#[test]
fn foreign_file_is_rejected_and_unchanged() {
    let file = TemporaryFile::named("foreign");
    for content in ["{\"mine\":1}\n", "no line end", "\n"] {
        fs::write(&file.0, content).unwrap();
        for restart in [false, true] {
            let error = file.try_open(TO, 1, restart).unwrap_err();
            assert!(format!("{error:#}").contains("--position"), "{error:#}");
            assert_eq!(fs::read_to_string(&file.0).unwrap(), content);
        }
    }
}

#[test]
fn address_of_an_earlier_run_is_printable() {
    let file = TemporaryFile::named("escapes");
    drop(file.try_open("http://\u{1b}[2J", 1, false).unwrap());
    let error = file.try_open(TO, 1, false).unwrap_err();
    assert!(!format!("{error:#}").contains('\u{1b}'), "{error:#}");
}
