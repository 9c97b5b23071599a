//! The sources file: its faults, and its reload.

use wahook_tests::eventually::{AT_LAST, eventually};

use crate::stage::Stage;

fn source(name: &str, more: &str) -> String {
    format!("[[source]]\nname = \"{name}\"\nkind = \"generic\"\n{more}\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_stop_the_start_and_are_reported_with_their_lines() {
    let log = Stage::refusal(
        "[[source]]\nname = \"a\"\nkind = \"whatsapp\"\n\n[[source]]\nname = \"a\"\nkind = \"wwebjs\"\n\
         secret = \"a secret of wwebjs\"\nredact = [\"body\"]\nmax_body_bytes = 1\ncolour = 1\n",
    )
    .await;
    for (line, fault) in [
        (3, "must be one of wahook"),
        (6, "already used"),
        (8, "does not sign"),
        (9, "must begin with '/'"),
        (10, "max_body_bytes"),
        (11, "colour"),
    ] {
        let place = format!("line {line}:");
        let found = log
            .lines()
            .any(|text| text.contains(&place) && text.contains(fault));
        assert!(found, "{place} {fault}: {log}");
    }
    assert!(!log.contains("a secret of wwebjs"), "{log}");
    let log = Stage::refusal("[[source]\n").await;
    assert!(log.contains("line 1"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sources_of_the_file_replace_those_of_the_kinds() {
    let stage = Stage::start(&source("shop", ""), &[]).await;
    assert_eq!(stage.post_json("shop", "{}").await.status, 202);
    assert_eq!(stage.post_json("generic", "{}").await.status, 404);
}

/// Waits until a post to this source has this status.
async fn until(stage: &Stage, name: &str, status: u16) {
    eventually(AT_LAST, name, || async {
        let answer = stage.post_json(name, "{}").await;
        (answer.status == status).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hangup_applies_a_new_file_and_keeps_the_old_one_if_it_is_invalid() {
    let stage = Stage::start(&source("first", ""), &[]).await;
    stage.reload(&(source("second", "") + &source("third", "token = \"0123456789abcdef\"")));
    until(&stage, "second", 202).await;
    assert_eq!(stage.post_json("first", "{}").await.status, 404);
    assert_eq!(stage.post_json("third", "{}").await.status, 401);

    stage.reload(&(source("fourth", "") + "[[source]]\nname = \"Fifth\"\n"));
    let log = stage
        .program
        .wait_logged("the previous ones stay in effect")
        .await;
    assert!(log.lines().any(|line| line.contains("line 6:")), "{log}");
    assert_eq!(stage.post_json("fourth", "{}").await.status, 404);
    assert_eq!(stage.post_json("second", "{}").await.status, 202);

    stage.reload(&source("fourth", "deliver = \"documented\""));
    until(&stage, "fourth", 202).await;
    let id = stage
        .post_json("fourth", r#"{"event":"x"}"#)
        .await
        .accepted_id();
    let post = stage.delivery(&id).await;
    assert!(post.body.starts_with(br#"{"event":"x","data":"#));
}
