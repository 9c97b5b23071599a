//! Events that no canonical form has, and endpoints that receive them in both forms.

use std::time::Duration;

use crate::receiver::Receiver;

/// Secret of the endpoints.
pub const SECRET: &str = "the secret of both";
/// Event without a timestamp, and with spaces, an order of members and numbers that the
/// canonical form does not have.
pub const SENT: &str = r#"{ "data" : {"n": 9007199254740993, "e": 1e3}, "event":"test" }"#;
/// Data of the canonical form of [`SENT`].
pub const PAYLOAD: &str = r#"{"n":9007199254740992,"e":1000}"#;
/// Number of the person whose events are erased.
pub const NUMBER: &str = "15550001111";
/// Events of that person, whose number is spelled with an escape.
pub const OF_PERSON: [&str; 2] = [
    r#"{"event":"call", "data" : {"from":"1555\u00300\u00301111@c.us","note":"secret words"} }"#,
    r#"{ "data":{"note" : "secret words", "from":"\u003155500\u00301111@c.us"}, "event":"call"}"#,
];
/// Event of another person.
pub const OF_ANOTHER: &str =
    r#"{"event":"call", "data" : {"from":"15550002222@c.us", "note":"secret words"} }"#;
/// Setting that keeps the note out of the log.
pub const REDACTION: (&str, &str) = ("LOG_REDACT", "call=/data/note");
/// Data of the records of [`OF_ANOTHER`].
pub const REDACTED: &str = r#"{"from":"15550002222@c.us","note":"[redacted by wahook]"}"#;
const SOON: Duration = Duration::from_secs(30);

/// Returns an endpoint with the common secret.
pub fn endpoint(name: &str, receiver: &Receiver, more: &str) -> String {
    let url = receiver.url();
    format!("[[endpoint]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{more}\n")
}

/// Returns one endpoint for each form. That of the exact form makes one retry.
pub fn both_forms(canonical: &Receiver, exact: &Receiver) -> String {
    let retries = "retry_attempts = 1\nretry_delay = 100\nbody = \"exact\"";
    endpoint("canonical", canonical, "") + &endpoint("exact", exact, retries)
}

/// Returns an endpoint of the exact form without retries, whose failures do not pause it.
pub fn exact_without_retries(receiver: &Receiver) -> String {
    let more = "retry_attempts = 0\ncircuit = false\nbody = \"exact\"";
    endpoint("exact", receiver, more)
}

/// Waits for [`SENT`] in both forms: once, and in as many posts of the exact form.
pub async fn assert_both_forms(canonical: &Receiver, exact: &Receiver, exact_posts: usize) {
    for post in exact.wait_for(exact_posts, SOON).await {
        assert_eq!(post.body, SENT.as_bytes());
        assert!(post.verify(SECRET).is_valid(), "{}", post.verify(SECRET));
    }
    let start = format!(r#"{{"event":"test","data":{PAYLOAD},"timestamp":"#);
    for post in canonical.wait_for(1, SOON).await {
        let body = String::from_utf8_lossy(&post.body);
        assert!(body.starts_with(&start), "{body}");
        assert!(post.verify(SECRET).is_valid());
    }
}

/// Waits until the events of both persons have arrived as they were sent.
pub async fn wait_for_all_persons(exact: &Receiver) {
    let posts = exact.wait_for(OF_PERSON.len() + 1, SOON).await;
    for sent in OF_PERSON.iter().chain([&OF_ANOTHER]) {
        let are_equal = posts.iter().filter(|post| post.body == sent.as_bytes());
        assert_eq!(are_equal.count(), 1, "{sent}");
    }
}
