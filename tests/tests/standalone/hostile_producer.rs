//! `send` against a server that is not the user's producer.

use std::fs;
use std::process::{self, Stdio};

use wahook_tests::folder::RunFolder;
use wahook_tests::program::{Command, ProgramName, Ran};
use wahook_tests::receiver::{Answer, Receiver};

async fn send(url: &str) -> Ran {
    let arguments = ["send", "call", "--url", url];
    let command = Command::start(ProgramName::Standalone, &arguments, &[]);
    command.await.finish().await
}

fn base(receiver: &Receiver) -> String {
    let url = receiver.url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let authority = rest.split('/').next().unwrap();
    format!("{scheme}://{authority}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_in_an_answer_cannot_control_the_terminal() {
    let answer = r#"{"id":"a\u001b[2Jb","warnings":[]}"#;
    let receiver = Receiver::answering(move |_| Answer::status(202).body(answer)).await;
    let ran = send(&base(&receiver)).await;
    assert_eq!(ran.printed(), "a\\u{1b}[2Jb\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_answer_is_not_read_to_its_end() {
    let long = vec![b' '; 8 << 20];
    let receiver = Receiver::answering(move |_| Answer::status(202).body(long.clone())).await;
    let ran = send(&base(&receiver)).await;
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    let reason = "the answer is longer than 1048576 bytes";
    assert!(ran.stderr.contains(reason), "{ran:?}");
}

/// Runs `send` in a folder with this `.env`.
async fn send_in(dotenv: String, settings: Vec<(&'static str, String)>) -> process::Output {
    let sent = tokio::task::spawn_blocking(move || {
        let folder = RunFolder::temporary("dotenv").unwrap();
        fs::write(folder.join(".env"), dotenv).unwrap();
        fs::write(folder.join("token"), "secret-of-the-user").unwrap();
        process::Command::new(ProgramName::Standalone.executable().unwrap())
            .args(["send", "call"])
            .env_clear()
            .envs(settings)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    });
    sent.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dotenv_file_does_not_decide_where_a_token_from_elsewhere_is_sent() {
    const REFUSED: &str = "WAHOOK_URL comes from the file .env of this folder";
    let answer = r#"{"id":"a","warnings":[]}"#;
    let receiver = Receiver::answering(move |_| Answer::status(202).body(answer)).await;
    let token = || vec![("WAHOOK_TOKEN", "secret-of-the-user".to_owned())];
    // This machine under an address that is not loopback.
    let elsewhere = base(&receiver).replace("127.0.0.1", "0.0.0.0");
    let url_only = format!("WAHOOK_URL={elsewhere}\n");
    let with_file = format!("{url_only}WAHOOK_TOKEN_FILE=token\n");
    for (dotenv, settings) in [(url_only.clone(), token()), (with_file, Vec::new())] {
        let ran = send_in(dotenv, settings).await;
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(error.contains(REFUSED), "{error}");
        assert!(!error.contains("secret-of-the-user"), "{error}");
    }
    assert_eq!(receiver.count(), 0);
    let mut both = token();
    both.push(("WAHOOK_URL", elsewhere.clone()));
    for (dotenv, settings) in [
        (format!("WAHOOK_URL={}\n", base(&receiver)), token()),
        (
            format!("{url_only}WAHOOK_TOKEN=of-the-folder\n"),
            Vec::new(),
        ),
        (url_only.clone(), Vec::new()),
        (String::new(), both),
    ] {
        let ran = send_in(dotenv, settings).await;
        let error = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{error}");
    }
    assert_eq!(receiver.count(), 4);
}
