//! Shell completions and man pages, checked with real shells and `groff`.

use std::fs;
use std::process::{Command, Output};

use wahook_tests::folder::RunFolder;
use wahook_tests::program::ProgramName;

use crate::world::{Test, Tests};

const COMMANDS: [&str; 7] = [
    "send",
    "import",
    "samples",
    "tail",
    "stats",
    "completions",
    "man",
];

pub(crate) fn add(tests: &mut Tests) {
    tests.add("bash_completes_commands_and_options", bash);
    tests.add(
        "every_shell_has_a_script_and_every_command_a_man_page",
        pages,
    );
}

fn wahook(arguments: &[&str]) -> Output {
    let program = ProgramName::Standalone.executable().unwrap();
    Command::new(program)
        .args(arguments)
        .env_clear()
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Returns the completions that bash offers after it has loaded the script.
fn offered(script: &str, words: &[&str]) -> String {
    let last = words.len() - 1;
    let ask = format!(
        "{script}\ncomplete -p wahook >/dev/null || exit 1\n\
         COMP_WORDS=({}) COMP_CWORD={last}\n_wahook wahook '{}' '{}'\necho \"${{COMPREPLY[@]}}\"",
        words
            .iter()
            .map(|word| format!("'{word}'"))
            .collect::<Vec<_>>()
            .join(" "),
        words[last],
        words[last - 1],
    );
    let bash = Command::new("bash")
        .args(["--norc", "-u", "-c", &ask])
        .output()
        .unwrap();
    text(&bash)
}

async fn bash(_: Test) {
    let script = text(&wahook(&["completions", "bash"]));
    let commands = offered(&script, &["wahook", ""]);
    for command in COMMANDS {
        assert!(
            commands.split_whitespace().any(|word| word == command),
            "{commands}"
        );
    }
    assert_eq!(offered(&script, &["wahook", "imp"]).trim(), "import");
    assert_eq!(
        offered(&script, &["wahook", "tail", "--st"]).trim(),
        "--status"
    );
    let statuses = offered(&script, &["wahook", "tail", "--status", ""]);
    assert_eq!(statuses.trim(), "success failed");
    assert_eq!(
        offered(&script, &["wahook", "samples", "ready", "group_l"]).trim(),
        "group_leave"
    );
}

async fn pages(_: Test) {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        assert!(
            text(&wahook(&["completions", shell])).contains("import"),
            "{shell}"
        );
    }
    let folder = RunFolder::temporary("man").unwrap();
    text(&wahook(&["man", "--to", folder.path().to_str().unwrap()]));
    assert_eq!(
        fs::read_to_string(folder.join("wahook.1")).unwrap(),
        text(&wahook(&["man"]))
    );
    let names = COMMANDS.map(|command| format!("wahook-{command}.1"));
    for name in names.iter().map(String::as_str).chain(["wahook.1"]) {
        let page = folder.join(name);
        let source = fs::read_to_string(&page).unwrap();
        assert!(
            source.contains(".SH NAME") && source.contains(".SH SYNOPSIS"),
            "{name}"
        );
        // With all warnings. Skipped if groff is not installed.
        let groff = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(&page)
            .output();
        if let Ok(groff) = groff {
            text(&groff);
        }
    }
}
