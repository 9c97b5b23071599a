//! Tokens and signatures, in the ways that each gateway can configure.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use wahook_runtime::clock;

use crate::cases::{Case, KINDS, cases};
use crate::encoding::Encoding;
use crate::signature::{can_sign, jwt, jwt_until, sign};
use crate::stage::Stage;

const TOKEN: &str = "prod-token/+0123456789";
/// `TOKEN` in a URL.
const IN_URL: &str = "prod-token%2F%2B0123456789";
const OWN_TOKEN: &str = "own-token-0123456789";
const KEY: &str = "a key of at least 32 characters, for all";

/// Path after the source, and headers.
type Way = (String, Vec<(&'static str, String)>);

fn bearer(token: &str) -> Vec<(&'static str, String)> {
    vec![("authorization", format!("Bearer {token}"))]
}

fn basic(token: &str) -> Vec<(&'static str, String)> {
    let login = BASE64_STANDARD.encode(format!("wahook:{token}"));
    vec![("authorization", format!("Basic {login}"))]
}

/// Ways of a token without a header.
fn in_url(token: &str) -> Vec<Way> {
    let paths = [
        format!("/{token}"),
        format!("/{token}/"),
        format!("?token={token}"),
    ];
    paths.map(|path| (path, Vec::new())).to_vec()
}

/// Returns the ways of which the gateway's documentation or source has the settings.
fn ways(kind: &str, token: &str, encoded: &str) -> Vec<Way> {
    let mut ways = in_url(encoded);
    match kind {
        "wwebjs" => ways.push((String::new(), vec![("x-api-key", token.to_owned())])),
        "waha" | "open-wa" | "wahook" | "generic" => ways.extend([
            (String::new(), bearer(token)),
            (String::new(), vec![("x-api-key", token.to_owned())]),
        ]),
        "evolution" => ways.extend([
            (String::new(), bearer(token)),
            ("/messages-upsert".to_owned(), bearer(token)),
            // With "webhook by events" the event follows whatever the URL ends with.
            (format!("/{encoded}/messages-upsert"), Vec::new()),
            (format!("?token={encoded}/messages-upsert"), Vec::new()),
        ]),
        _ => {}
    }
    // Axios and Go send the login of a URL as Basic.
    ways.push((String::new(), basic(token)));
    ways
}

fn sample(kind: &str) -> Case {
    cases(kind)
        .into_iter()
        .find(|case| case.path.is_empty())
        .unwrap()
}

/// Posts a sample, and returns the status.
async fn status(stage: &Stage, source: &str, kind: &str, way: &Way) -> u16 {
    let (path, more) = way;
    let encoding = Encoding::of_kind(kind);
    let content_type = encoding.content_type();
    let mut headers = vec![("content-type", content_type.as_str())];
    headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let body = encoding.encode(&sample(kind).body);
    let answer = stage.post(&format!("{source}{path}"), &headers, body).await;
    if answer.status == 401 {
        let challenge = answer.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer, Basic"), "{challenge}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }
    answer.status.as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gateway_gets_in_by_the_ways_that_it_can_configure() {
    let settings = [("PRODUCER_TOKEN", TOKEN), ("RUST_LOG", "trace")];
    let stage = Stage::start("", &settings).await;
    for kind in KINDS {
        for way in ways(kind, TOKEN, IN_URL) {
            let status = status(&stage, kind, kind, &way).await;
            assert!(matches!(status, 200 | 202), "{kind} {way:?}: {status}");
        }
    }
    let log = stage.program.wait_logged("TRACE").await;
    let shown = log + &stage.metrics_text().await;
    for secret in [
        TOKEN,
        IN_URL,
        &BASE64_STANDARD.encode(format!("wahook:{TOKEN}")),
    ] {
        assert_eq!(shown.lines().find(|line| line.contains(secret)), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_and_wrong_tokens_are_refused_logged_and_counted() {
    const WRONG: &str = "wrong-token-987654321";
    let settings = [("PRODUCER_TOKEN", TOKEN), ("RUST_LOG", "trace")];
    let stage = Stage::start("", &settings).await;
    for kind in KINDS {
        let mut all = ways(kind, WRONG, WRONG);
        all.push((String::new(), Vec::new()));
        // Neither in the middle of a path nor in another parameter.
        all.push((format!("/a/{IN_URL}/b"), Vec::new()));
        all.push((format!("?key={IN_URL}"), Vec::new()));
        for way in &all {
            assert_eq!(status(&stage, kind, kind, way).await, 401, "{kind} {way:?}");
        }
        let labels = [("source", kind), ("reason", "unauthorized")];
        let refused = stage.metrics().await;
        let refused = refused.sum_where("wahook_source_events_refused_total", &labels);
        assert_eq!(refused, all.len() as f64, "{kind}");
    }
    let log = stage.program.wait_logged("request refused").await;
    let line = log.lines().find(|line| line.contains("request refused"));
    let line = line.unwrap();
    assert!(
        line.contains("unauthorized") && line.contains("/v1/in/"),
        "{line}"
    );
    let shown = log + &stage.metrics_text().await;
    for secret in [WRONG, IN_URL, TOKEN] {
        assert_eq!(shown.lines().find(|line| line.contains(secret)), None);
    }
    assert_eq!(stage.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_of_a_source_is_accepted_at_this_source_only() {
    let source = |name: &str, more: &str| {
        format!("[[source]]\nname = \"{name}\"\nkind = \"wwebjs\"\n{more}\n")
    };
    let own = format!("token = \"{OWN_TOKEN}\"");
    let sources = source("own", &own) + &source("common", "");
    let stage = Stage::start(&sources, &[("PRODUCER_TOKEN", TOKEN)]).await;
    for (name, token, expected) in [
        ("own", OWN_TOKEN, 202),
        ("own", TOKEN, 401),
        ("common", TOKEN, 202),
        ("common", OWN_TOKEN, 401),
    ] {
        let way = (String::new(), bearer(token));
        assert_eq!(
            status(&stage, name, "wwebjs", &way).await,
            expected,
            "{name} {token}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signature_of_a_gateway_replaces_the_token() {
    let signing = || KINDS.into_iter().filter(|kind| can_sign(kind));
    let source =
        |kind| format!("[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\nsecret = \"{KEY}\"\n");
    let sources: String = signing().map(source).collect();
    let stage = Stage::start(&sources, &[("PRODUCER_TOKEN", TOKEN)]).await;
    for kind in signing() {
        let encoding = Encoding::of_kind(kind);
        let body = sample(kind).body;
        let way = |key: &str, body: &str| (String::new(), sign(kind, key, encoding, body));
        // The token alone is not enough.
        let unsigned = (String::new(), vec![("x-api-key", TOKEN.to_owned())]);
        assert_eq!(status(&stage, kind, kind, &unsigned).await, 401, "{kind}");
        let other = way("another key of at least 32 characters", &body);
        assert_eq!(status(&stage, kind, kind, &other).await, 401, "{kind}");
        if kind != "evolution" {
            let other = way(KEY, &body.replacen('{', "{ ", 1));
            assert_eq!(status(&stage, kind, kind, &other).await, 401, "{kind}");
        }
        let valid = status(&stage, kind, kind, &way(KEY, &body)).await;
        assert!(matches!(valid, 200 | 202), "{kind}: {valid}");
        let labels = [("source", kind), ("reason", "unauthorized")];
        let refused = stage.metrics().await;
        let refused = refused.sum_where("wahook_source_events_refused_total", &labels);
        assert_eq!(
            refused,
            if kind == "evolution" { 2.0 } else { 3.0 },
            "{kind}"
        );
    }
    let log = stage.program.stderr_so_far();
    assert!(!log.contains(KEY), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_token_of_evolution_is_refused() {
    let sources = format!("[[source]]\nname = \"evo\"\nkind = \"evolution\"\nsecret = \"{KEY}\"\n");
    let stage = Stage::start(&sources, &[]).await;
    let now = clock::now().seconds();
    for (token, expected) in [
        (jwt_until(KEY, now - 120), 401),
        (jwt_until("another key", now + 600), 401),
        (jwt(KEY) + "x", 401),
        (jwt(KEY), 202),
    ] {
        let way = (String::new(), bearer(&token));
        assert_eq!(
            status(&stage, "evo", "evolution", &way).await,
            expected,
            "{token}"
        );
    }
    let log = stage.program.stderr_so_far();
    assert!(!log.contains(&jwt(KEY)), "{log}");
}
