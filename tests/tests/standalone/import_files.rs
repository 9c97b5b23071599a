//! `import` never changes a file that it did not write, whatever its name.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{self, Stdio};

use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::Receiver;

use crate::system::System;

const LINES: &str = "{\"event\":\"a\"}\n{\"event\":7}\n";
const NOTES: &str = "notes\n";

async fn import(system: &System, options: &[&str]) -> Ran {
    let arguments = [&["import", "--url", system.events.as_str()], options].concat();
    let command = Command::start(ProgramName::Standalone, &arguments, &[]);
    command.await.finish().await
}

/// Asserts that the import refused to start and named the reason.
#[track_caller]
fn assert_refused(ran: &Ran, reason: &str) {
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains(reason), "{reason}: {ran:?}");
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_named_like_the_files_of_an_import_are_not_followed() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let _program = system.start().await;
    let (input, notes) = (system.path("events"), system.path("notes"));
    fs::write(&input, LINES).unwrap();
    for suffix in ["position", "refused"] {
        let link = system.path(&format!("events.{suffix}"));
        for target in [&notes, &system.path("missing")] {
            fs::write(&notes, NOTES).unwrap();
            symlink(target, &link).unwrap();
            for options in [&[][..], &["--restart"]] {
                let options = [&[input.to_str().unwrap()], options].concat();
                let ran = import(&system, &options).await;
                assert_refused(&ran, "symbolic link");
            }
            assert_eq!(read(&notes), NOTES);
            assert!(!system.path("missing").exists());
            fs::remove_file(&link).unwrap();
        }
    }
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_files_and_the_input_itself_are_not_written() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let _program = system.start().await;
    let (input, other, notes) = (
        system.path("events"),
        system.path("hard-link"),
        system.path("notes"),
    );
    fs::write(&input, LINES).unwrap();
    fs::write(&notes, NOTES).unwrap();
    fs::hard_link(&input, &other).unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (input_name, other_name, notes_name) = (path(&input), path(&other), path(&notes));
    for option in ["--position", "--refused"] {
        for (file, reason) in [
            (&input_name, "it is the input"),
            (&other_name, "it is the input"),
            (&notes_name, "not written by `wahook import`"),
        ] {
            for restart in [&[][..], &["--restart"]] {
                let options = [&[input_name.as_str(), option, file], restart].concat();
                assert_refused(&import(&system, &options).await, reason);
            }
        }
    }
    let same = system.path("same").display().to_string();
    let same = [input_name.as_str(), "--position", &same, "--refused", &same];
    assert_refused(&import(&system, &same).await, "name the same file");
    assert_eq!(
        (read(&input).as_str(), read(&notes).as_str()),
        (LINES, NOTES)
    );
    assert!(!system.path("events.position").exists());
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_import_from_standard_input_keeps_the_rejected_lines_of_the_first() {
    let receiver = Receiver::start().await;
    let system = System::new(&receiver, &[]);
    let _program = system.start().await;
    let refused = system.path("import.refused");
    let numbers = || read(&refused).matches("{\"line\":2,").count();
    for (runs, status) in [(1, 1), (2, 1)] {
        let ran = pipe(&system, "input").await;
        assert_eq!(ran.status.code(), Some(status), "{ran:?}");
        assert_eq!(numbers(), runs);
    }
    // Nothing is rejected: the file is unchanged.
    fs::write(system.path("input"), "{\"event\":\"a\"}\n").unwrap();
    let ran = pipe(&system, "input").await;
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(numbers(), 2);
    // Standard input is the file of rejected lines itself.
    let before = read(&refused);
    let ran = pipe(&system, "import.refused").await;
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    let error = String::from_utf8_lossy(&ran.stderr);
    assert!(error.contains("it is the input"), "{error}");
    assert_eq!(read(&refused), before);
}

/// Imports a file of the system's folder from standard input, in that folder.
async fn pipe(system: &System, name: &str) -> process::Output {
    let input = system.path(name);
    if !input.exists() {
        fs::write(&input, LINES).unwrap();
    }
    let folder = input.parent().unwrap().to_owned();
    let url = system.events.clone();
    let piped = tokio::task::spawn_blocking(move || {
        let program = ProgramName::Standalone.executable().unwrap();
        process::Command::new(program)
            .args(["import", "-", "--url", &url])
            .env_clear()
            .current_dir(folder)
            .stdin(fs::File::open(input).unwrap())
            .stdout(Stdio::piped())
            .output()
            .unwrap()
    });
    piped.await.unwrap()
}
