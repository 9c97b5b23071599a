//! Fuzz test: `.env` files.

use std::{fs, process};

use proptest::prelude::*;
use wahook_hostile::{cases, damaged};

use super::*;

const FILES: &[&str] = &[
    "WEBHOOK_URL=https://example.com/hook\nWEBHOOK_SECRET='it is a s3cret'\n",
    "# a comment\n\nexport A=1\r\nB=\"two\\nlines\"\n",
    "\u{feff}A=\"${HOME}/x\"\nB=$A\nC=${UNCLOSED\n",
    "A='one\ntwo'\nB=\"open",
    "=x\nA\nA B=1\n9=1\nA==\nA=b c\n",
    "A=\"\\q\"\nB='\\''\nC=`id`\nD=$(id)\n",
];

fn read(test: &str, content: &[u8]) -> (Source, Vec<SettingFault>) {
    let path = std::env::temp_dir().join(format!("wahook-{test}-{}", process::id()));
    fs::write(&path, content).unwrap();
    let mut source = Source::of_environment(std::iter::empty());
    let faults = source.fill_up_from(&path);
    fs::remove_file(&path).unwrap();
    (source, faults)
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn hostile_file_is_read_or_refused_with_its_name(content in damaged(FILES)) {
        let (source, faults) = read("hostile-env", &content);
        for fault in &faults {
            prop_assert!(fault.to_string().contains("wahook-hostile-env"), "{}", fault);
        }
        let lines = content.split(|byte| *byte == b'\n').count();
        prop_assert!(faults.len() <= lines && source.values.len() <= lines);
    }

    #[test]
    fn hostile_value_in_single_quotes_is_read_unchanged(value in "[^'\\\\\\n\\r\\x00]{0,60}") {
        let (source, faults) = read("quoted-env", format!("NAME='{value}'\n").as_bytes());
        prop_assert!(faults.is_empty(), "{:?}", faults);
        prop_assert_eq!(source.values.get("NAME"), Some(&Some(value)));
    }
}
