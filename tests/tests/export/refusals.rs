//! Refused exports and the dry run.

use wahook_embedded::Store;
use wahook_queue::Outgoing;
use wahook_tests::pair::Place;
use wahook_tests::ports::free_port;

use crate::file::{DataFile, event};
use wahook_tests::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_file_that_is_in_use_or_missing_is_refused", in_use);
    tests.add(
        "an_unreachable_server_is_named_without_its_password",
        unreachable,
    );
    tests.add("a_dry_run_counts_and_moves_nothing", dry);
}

async fn one_event(file: &DataFile) {
    let filling = file.fill().await;
    filling
        .publish(Outgoing::event(&event("call", "one", 1)))
        .await;
}

async fn in_use(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    let ran = file.exported(&place).await;
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stderr.contains("there is no file"), "{ran:?}");
    assert!(!file.path().exists());
    let holder = Store::open(&file.path()).unwrap();
    let ran = file.exported(&place).await;
    assert_eq!(ran.status.code(), Some(2));
    assert!(ran.stderr.contains("in use by another wahook"), "{ran:?}");
    drop(holder);
    assert!(file.exported(&place).await.status.success());
}

async fn unreachable(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    one_event(&file).await;
    let address = format!("me:s3cret@127.0.0.1:{}", free_port().unwrap());
    let no_broker = Place {
        amqp_url: format!("amqp://{address}/%2f"),
        ..place.clone()
    };
    let no_log = Place {
        mongodb_uri: format!("mongodb://{address}/"),
        ..place.clone()
    };
    let malformed = Place {
        amqp_url: "http://me:s3cret@example.com".to_owned(),
        ..place.clone()
    };
    for (place, named) in [
        (&no_broker, "AMQP_URL"),
        (&no_log, "MONGODB_URI"),
        (&malformed, "AMQP_URL"),
    ] {
        let ran = file.exported(place).await;
        assert_eq!(ran.status.code(), Some(2), "{ran:?}");
        assert!(ran.stderr.contains(named), "{ran:?}");
        let output = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!output.contains("s3cret"), "{output}");
    }
    // An option takes precedence over the environment, and its password is not shown either.
    let arguments = ["--to", no_broker.amqp_url.as_str()];
    let ran = file.export(&place, &arguments).await.finish().await;
    assert_eq!(ran.status.code(), Some(2), "{ran:?}");
    assert!(ran.stderr.contains("--to"), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    assert_eq!(file.queued(), 1);
}

async fn dry(test: Test) {
    let (place, file) = (test.place(), DataFile::new());
    one_event(&file).await;
    let unreachable = Place {
        amqp_url: "amqp://127.0.0.1:1".to_owned(),
        ..place
    };
    let ran = file
        .export(&unreachable, &["--dry-run"])
        .await
        .finish()
        .await;
    let counted = ran.printed();
    let queued = counted.lines().find(|line| line.starts_with("queued"));
    assert_eq!(
        queued.unwrap().split_whitespace().last(),
        Some("1"),
        "{counted}"
    );
    assert_eq!(file.queued(), 1);
}
