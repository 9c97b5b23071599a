//! Redirects of clients that follow them.

use rustls::server::WebPkiClientVerifier;
use std::{collections::BTreeMap, io, net::SocketAddr, sync::Mutex};
use wahook_domain::{FailureCause, RedirectFault};

use super::*;
use crate::tls::{
    client_config,
    tests::{openssl_req_x509, server, trusting},
};

fn following(url: &str, limit: Duration, network: Network) -> EndpointClient {
    client(url, limit, network).with_redirects(true)
}

fn redirect(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// Starts a receiver that gives these answers in order, and the last one again and again.
/// Returns it with the heads of its requests.
async fn answering(answers: &[&str]) -> (Receiver, Arc<Mutex<Vec<String>>>) {
    let answers: Arc<[String]> = answers.iter().map(|&text| text.to_owned()).collect();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&heads);
    let receiver = Receiver::start(move |mut caller: Caller| {
        let (answers, heard) = (Arc::clone(&answers), Arc::clone(&heard));
        async move {
            loop {
                let head = caller.hear().await?;
                let number = {
                    let mut heard = heard.lock().unwrap();
                    heard.push(head);
                    heard.len()
                };
                let answer = answers.get(number - 1).or(answers.last())?;
                caller.say(answer).await?;
            }
        }
    });
    (receiver.await, heads)
}

fn not_followed(status: u16, location: &str, fault: RedirectFault) -> Outcome {
    Outcome::Redirected {
        status,
        location: Some(location.to_owned()),
        fault: Some(fault),
    }
}

#[tokio::test]
async fn a_redirect_within_the_host_is_followed_with_the_same_request_and_connection() {
    let there = redirect(307, "/next?a=b#part");
    let (receiver, heads) = answering(&[&there, &redirect(308, "last"), OK]).await;
    let client = following(&receiver.url, AMPLE, plain(system()));
    assert_eq!(post(&client).await, DELIVERED);
    let heads = heads.lock().unwrap().clone();
    let split = heads.iter().map(|head| head.split_once("\r\n").unwrap());
    let (lines, headers): (Vec<_>, Vec<_>) = split.unzip();
    let expected = ["/hook", "/next?a=b", "/last"].map(|path| format!("POST {path} HTTP/1.1"));
    assert_eq!(lines, expected);
    let sorted = |text: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned()));
        lines.collect::<BTreeMap<_, _>>()
    };
    assert!(sorted(headers[0]).contains_key("webhook-id"));
    assert_eq!(sorted(headers[1]), sorted(headers[0]));
    assert_eq!(sorted(headers[2]), sorted(headers[0]));
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn a_redirect_from_http_to_https_of_the_same_host_is_followed() {
    let certificate = openssl_req_x509("127.0.0.1", |_| {});
    let secure = server(&certificate, WebPkiClientVerifier::no_client_auth()).await;
    let (receiver, _) = answering(&[&redirect(308, &secure)]).await;
    let mut network = plain(system());
    network.tls = client_config(&trusting(&certificate.certificate)).unwrap();
    let client = following(&receiver.url, AMPLE, network);
    for _ in 0..2 {
        assert_eq!(post(&client).await, DELIVERED);
    }
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
    let untrusting = following(&receiver.url, AMPLE, plain(system()));
    let refused = post(&untrusting).await;
    let is_refused =
        matches!(&refused, Outcome::Failed { cause, .. } if *cause == FailureCause::Tls);
    assert!(is_refused, "{refused:?}");
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_followed_and_says_why() {
    for (status, location, fault) in [
        (307, "http://localhost/", RedirectFault::OtherHost),
        (308, "http://127.0.0.1:1/", RedirectFault::OtherPort),
        (301, "/next", RedirectFault::OtherStatus),
        // A text that is no URL with a host is not shown.
        (307, "mailto:a@b.example", RedirectFault::NoTarget),
    ] {
        let (receiver, _) = answering(&[&redirect(status, location)]).await;
        let client = following(&receiver.url, AMPLE, plain(system()));
        let outcome = post(&client).await;
        let shown = if location.starts_with("mailto:") {
            "[redacted]"
        } else {
            location
        };
        assert_eq!(outcome, not_followed(status, shown, fault));
        let message = outcome.error_message().unwrap();
        assert!(
            message.ends_with(&format!("not followed: {fault}")),
            "{message}"
        );
        assert_eq!(receiver.requests(), 1);
    }
}

#[tokio::test]
async fn redirects_are_not_followed_by_default() {
    let (receiver, _) = answering(&[&redirect(308, "/next"), OK]).await;
    let expected = Outcome::Redirected {
        status: 308,
        location: Some("/next".to_owned()),
        fault: None,
    };
    assert_eq!(post(&receiver.client()).await, expected);
    assert_eq!(receiver.requests(), 1);
}

#[tokio::test]
async fn an_attempt_follows_three_redirects_at_most() {
    let (receiver, _) = answering(&[&redirect(307, "/again")]).await;
    let client = following(&receiver.url, AMPLE, plain(system()));
    let expected = not_followed(307, "/again", RedirectFault::TooMany);
    assert_eq!(post(&client).await, expected);
    assert_eq!(receiver.requests(), 4);
    let again = redirect(307, "/again");
    let (receiver, _) = answering(&[&again, &again, &again, OK]).await;
    let client = following(&receiver.url, AMPLE, plain(system()));
    assert_eq!(post(&client).await, DELIVERED);
}

#[tokio::test]
async fn all_requests_of_an_attempt_share_its_deadline() {
    const LIMIT: Duration = Duration::from_secs(3);
    let (receiver, _) = answering(&[&redirect(307, "/next"), ""]).await;
    let client = following(&receiver.url, LIMIT, plain(system()));
    let start = Instant::now();
    assert_eq!(post(&client).await, Outcome::TimedOut { limit: LIMIT });
    assert!(start.elapsed() < AMPLE, "took {:?}", start.elapsed());
    assert_eq!(receiver.requests(), 2);
}

/// Name that leads to a metadata service when it is looked up again.
#[tokio::test]
async fn the_target_of_a_redirect_must_be_a_permitted_address() {
    let answer =
        redirect(307, "/next").replace("Content-Length", "Connection: close\r\nContent-Length");
    let (receiver, _) = answering(&[&answer, OK]).await;
    let looked_up = AtomicUsize::new(0);
    let look_ups = LookUps::by(move |_| -> io::Result<Vec<SocketAddr>> {
        let is_first = looked_up.fetch_add(1, SeqCst) == 0;
        let address = if is_first {
            [127, 0, 0, 1]
        } else {
            [169, 254, 169, 254]
        };
        Ok(vec![SocketAddr::from((address, 0))])
    });
    let url = receiver.url.replace("127.0.0.1", "hook.example");
    let outcome = post(&following(&url, AMPLE, plain(resolver(look_ups)))).await;
    let is_blocked =
        matches!(&outcome, Outcome::Failed { cause, .. } if *cause == FailureCause::Blocked);
    assert!(is_blocked, "{outcome:?}");
    assert_eq!(receiver.requests(), 1);
}
