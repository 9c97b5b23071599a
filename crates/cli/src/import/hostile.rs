//! Fuzz test: lines of an import.

use std::{fs, path::Path, process};

use proptest::prelude::*;
use wahook_domain::{
    UnixMillis,
    json::{self, Node},
};
use wahook_hostile::{cases, damaged};

use super::{
    source::Source,
    stamp::{append_stamped, needs_stamp},
    used_files::UsedFiles,
};

const FILES: &[&str] = &[
    "{\"event\":\"call\",\"data\":{}}\n{\"event\":\"ready\"}\n",
    "{\"event\":\"call\",\"timestamp\":null,\"timestamp\":\"2024-10-01T12:00:00.000Z\"}\r\n\n  \n",
    "{}\n[]\n{\"a\":\"}\"}   \n{\"timestamp\":1}",
    "\u{feff}{\"event\":\"call\"}\n\0\n{\"event\":\"c\\u0000\"}\n",
    // The first bytes of a gzip file.
    "\u{1f}\u{8b}\u{8}\n",
];

fn lines(path: &Path) -> Option<Vec<Vec<u8>>> {
    let opened = Source::open(path, &mut UsedFiles::default()).ok()?;
    let mut source = opened.start_at(1, 0).ok()?;
    let mut lines = Vec::new();
    while let Some(line) = source.next().ok()? {
        lines.push(line.text);
    }
    Some(lines)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn hostile_lines_are_read_unchanged_and_stamped_once(content in damaged(FILES)) {
        let path = std::env::temp_dir().join(format!("wahook-hostile-import-{}", process::id()));
        fs::write(&path, &content).unwrap();
        let lines = lines(&path);
        fs::remove_file(&path).unwrap();
        // A damaged gzip file can't be read.
        let Some(lines) = lines else {
            prop_assert!(content.starts_with(&[0x1f, 0x8b]));
            return Ok(());
        };
        if !content.starts_with(&[0x1f, 0x8b]) {
            let whole = content.strip_suffix(b"\n").unwrap_or(&content);
            prop_assert_eq!(lines.join(&b'\n'), whole);
        }
        for (number, line) in (1..).zip(lines) {
            if !needs_stamp(&line) {
                continue;
            }
            let mut stamped = Vec::new();
            append_stamped(&mut stamped, &line, UnixMillis::new(0), number);
            let Ok(Node::Object(members)) = json::parse(&stamped) else {
                return Err(TestCaseError::fail("a stamped line is not an object"));
            };
            prop_assert!(matches!(members.get("timestamp"), Some(Node::Text(_))));
            prop_assert!(!needs_stamp(&stamped));
        }
    }
}
