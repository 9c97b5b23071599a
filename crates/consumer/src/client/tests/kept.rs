//! Kept connections: which are used again, and what happens if the receiver closes them.

use super::*;
use futures_util::{StreamExt, stream};
use tokio::time::sleep;
use wahook_domain::FailureCause;

fn broken_off() -> Outcome {
    Outcome::Failed {
        cause: FailureCause::ConnectionReset,
        detail: String::new(),
    }
}

/// Makes attempts, `at_once` at a time, and asserts that each of them delivers.
async fn deliver(client: &EndpointClient, count: usize, at_once: usize) {
    let outcomes = stream::iter(0..count)
        .map(|_| post(client))
        .buffer_unordered(at_once);
    let failed: Vec<_> = outcomes
        .filter(|outcome| std::future::ready(*outcome != DELIVERED))
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} failed: {:?}",
        failed.len(),
        failed[0]
    );
}

#[tokio::test]
async fn events_share_a_kept_connection() {
    let receiver = Receiver::start(|mut caller: Caller| async move {
        loop {
            caller.hear().await?;
            caller
                .say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                .await?;
        }
    })
    .await;
    deliver(&receiver.client(), 20, 1).await;
    assert_eq!((receiver.connections(), receiver.requests()), (1, 20));
}

/// An attempt that fails is repeated after 5 s at the earliest, so an event whose first attempt
/// delivers is never late.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_receiver_that_closes_soon_after_each_answer_gets_every_event_at_the_first_attempt() {
    for pause in [0, 2, 20] {
        let pause = Duration::from_millis(pause);
        let receiver = Receiver::start(move |mut caller: Caller| async move {
            caller.hear().await?;
            caller.say(OK).await?;
            if !pause.is_zero() {
                sleep(pause).await;
            }
            Some(())
        })
        .await;
        deliver(&receiver.client(), 1_000, 16).await;
    }
}

/// A firewall that has forgotten its connections resets all of them, at their next request.
#[tokio::test]
async fn a_request_is_repeated_on_a_new_connection_if_all_kept_ones_are_dead() {
    for reset in [false, true] {
        let receiver = Receiver::start(move |mut caller: Caller| async move {
            caller.hear().await?;
            // Together, so that each request has its own connection.
            sleep(Duration::from_millis(100)).await;
            caller.say(OK).await?;
            caller.hear().await?;
            if reset {
                caller.stream.set_zero_linger().unwrap();
            }
            Some(())
        })
        .await;
        let client = receiver.client();
        deliver(&client, 8, 8).await;
        assert_eq!((receiver.connections(), receiver.requests()), (8, 8));
        deliver(&client, 8, 1).await;
        assert_eq!((receiver.connections(), receiver.requests()), (16, 24));
    }
}

#[tokio::test]
async fn a_request_on_a_new_connection_is_not_repeated() {
    let receiver = Receiver::start(|mut caller: Caller| async move {
        caller.hear().await?;
        None
    })
    .await;
    assert_eq!(post(&receiver.client()).await, broken_off());
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn a_request_is_not_repeated_after_a_byte_of_an_answer() {
    let receiver = Receiver::start(|mut caller: Caller| async move {
        caller.hear().await?;
        caller.say(OK).await?;
        caller.hear().await?;
        caller.say("H").await
    })
    .await;
    let client = receiver.client();
    assert_eq!(post(&client).await, DELIVERED);
    assert_eq!(post(&client).await, broken_off());
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[tokio::test]
async fn a_connection_is_not_used_after_the_time_that_its_receiver_announces() {
    for (announced, connections) in [("timeout=0", 5), ("timeout=5, max=100", 1)] {
        let receiver = Receiver::start(move |mut caller: Caller| async move {
            loop {
                caller.hear().await?;
                let answer = "HTTP/1.1 204 No Content\r\n";
                caller
                    .say(format!("{answer}Keep-Alive: {announced}\r\n\r\n"))
                    .await?;
            }
        })
        .await;
        let client = receiver.client();
        for _ in 0..5 {
            assert_eq!(post(&client).await, Outcome::Delivered { status: 204 });
        }
        assert_eq!(receiver.connections(), connections, "{announced}");
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed() {
    let (closed, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Receiver::start(move |mut caller: Caller| {
        let closed = closed.clone();
        async move {
            caller.hear().await?;
            caller
                .say("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 0\r\n\r\n")
                .await?;
            caller.hold().await;
            closed.send(()).ok()
        }
    })
    .await;
    let client = receiver.client();
    assert_eq!(post(&client).await, DELIVERED);
    tokio::time::timeout(AMPLE, seen.recv())
        .await
        .unwrap()
        .unwrap();
    drop(client);
}

/// Each connection begins with a failure; a success that follows unrequested answers no request.
#[tokio::test]
async fn bytes_behind_an_answer_are_not_the_next_answer() {
    for behind in [OK, "HTTP/1.1 200 OK\r\nContent-Le", "\r\n\r\n", "H"] {
        let receiver = Receiver::start(move |mut caller: Caller| async move {
            caller.hear().await?;
            let answer = "HTTP/1.1 500 No\r\nContent-Length: 5\r\n\r\nsorry";
            caller.say(format!("{answer}{behind}")).await?;
            caller.hold().await
        })
        .await;
        let client = receiver.client();
        for _ in 0..10 {
            let outcome = post(&client).await;
            assert_eq!(outcome.status_code(), Some(500), "{behind:?}: {outcome:?}");
        }
    }
}
