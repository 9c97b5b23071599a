//! Who may send requests.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::stage::{OPERATOR, READER, Stage};

const JSON: (&str, &str) = ("content-type", "application/json");
const READS: [&str; 7] = [
    "/deliveries",
    "/deliveries/e1/default",
    "/stats",
    "/endpoints",
    "/dead-letters",
    "/jobs",
    "/events/live",
];
const ACTIONS: [&str; 9] = [
    "/test-event",
    "/endpoints/default/pause",
    "/endpoints/default/resume",
    "/endpoints/default/probe",
    "/redeliveries",
    "/dead-letters/redrive",
    "/dead-letters/discard",
    "/erasures",
    "/deliveries/e1/default/give-up",
];

#[tokio::test]
async fn api_needs_a_token_and_readers_cannot_act() {
    let stage = Stage::with_tokens().await;
    let status = async |method: Method, path: &str, token: Option<&str>| {
        let token = token.map(|token| format!("Bearer {token}"));
        let token = token.as_deref().map(|token| ("authorization", token));
        let headers: Vec<_> = token.into_iter().chain([JSON]).collect();
        stage.send(method, path, &headers, "{}").await.status
    };
    for path in READS {
        let refused = status(Method::GET, path, None).await;
        assert_eq!(refused, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ACTIONS {
        let refused = status(Method::POST, path, None).await;
        assert_eq!(refused, StatusCode::UNAUTHORIZED, "{path}");
        let refused = status(Method::POST, path, Some(READER)).await;
        assert_eq!(refused, StatusCode::FORBIDDEN, "{path}");
    }
    let refused = status(Method::DELETE, "/jobs/1", Some(READER)).await;
    assert_eq!(refused, StatusCode::FORBIDDEN);
    let read = status(Method::GET, "/deliveries", Some(READER)).await;
    assert_eq!(read, StatusCode::OK);
    let acted = status(Method::POST, "/test-event", Some(OPERATOR)).await;
    assert_eq!(acted, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn login_sets_a_cookie_that_scripts_and_other_sites_cannot_use() {
    let stage = Stage::with_tokens().await;
    let before = stage.get("/session").await.json;
    assert_eq!(
        (&before["access"], &before["loginNeeded"]),
        (&Value::Null, &true.into())
    );
    let login = format!(r#"{{"token":"{READER}"}}"#);
    let answer = stage.post("/session", &login).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let (pair, _) = cookie.split_once(';').unwrap();
    let sent = [("cookie", pair)];
    let session = stage.send(Method::GET, "/session", &sent, "").await;
    assert_eq!(session.json["access"], "read");
    let deleted = stage.send(Method::DELETE, "/session", &[], "").await;
    let removed = deleted.headers["set-cookie"].to_str().unwrap();
    assert!(removed.contains("Max-Age=0"), "{removed}");
}

#[tokio::test]
async fn cookie_of_a_page_by_https_is_secure() {
    let stage = Stage::with_tokens().await;
    let login = format!(r#"{{"token":"{READER}"}}"#);
    for (scheme, is_secure) in [("https", true), ("http", false)] {
        let origin = format!("{scheme}://localhost:8090");
        let headers = [JSON, ("origin", origin.as_str())];
        let answer = stage.send(Method::POST, "/session", &headers, &login).await;
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        assert_eq!(cookie.contains("; Secure"), is_secure, "{cookie}");
    }
}

#[tokio::test]
async fn pages_of_other_hosts_reach_nothing() {
    let stage = Stage::open().await;
    let own = ["/openapi.json", "/session"];
    for foreign in [
        ("host", "attacker.example:8090"),
        ("origin", "https://attacker.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let reads = READS.iter().chain(&own).map(|path| (Method::GET, path));
        let actions = ACTIONS.iter().chain(&own[1..]);
        let actions = actions.map(|path| (Method::POST, path));
        for (method, path) in reads.chain(actions) {
            let answer = stage.send(method, path, &[foreign, JSON], "{}").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{foreign:?} {path}");
        }
    }
    let own = [("origin", "http://localhost:8090"), JSON];
    let answer = stage.send(Method::POST, "/test-event", &own, "{}").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn forms_of_other_pages_cannot_act_even_without_marks_of_a_browser() {
    let stage = Stage::open().await;
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let headers = [("content-type", media_type)];
        let answer = stage
            .send(Method::POST, "/test-event", &headers, "{}")
            .await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
}

#[tokio::test]
async fn wrong_tokens_are_limited_and_sessions_still_pass() {
    let stage = Stage::with_tokens().await;
    let login = format!(r#"{{"token":"{OPERATOR}"}}"#);
    let session = stage.post("/session", &login).await;
    let cookie = session.headers["set-cookie"].to_str().unwrap();
    let bearer = async |token: &str| {
        let token = format!("Bearer {token}");
        let headers = [("authorization", token.as_str())];
        stage.send(Method::GET, "/jobs", &headers, "").await
    };
    for _ in 0..9 {
        let refused = bearer("wrong-0123456789").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }
    let wrong = stage.post("/session", r#"{"token":"wrong"}"#).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let limited = bearer(OPERATOR).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(limited.headers.contains_key("retry-after"));
    let limited = stage.post("/session", &login).await;
    assert_eq!(limited.status, StatusCode::TOO_MANY_REQUESTS);
    let sent = [("cookie", cookie)];
    let passed = stage.send(Method::GET, "/jobs", &sent, "").await;
    assert_eq!(passed.status, StatusCode::OK);
}

#[tokio::test]
async fn all_answers_have_the_security_headers() {
    let stage = Stage::with_tokens().await;
    for path in ["/jobs", "/unknown", "/openapi.json"] {
        let answer = stage.get(path).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'"), "{path}: {policy}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn user_whom_the_proxy_names_is_shown_and_recorded_only_with_the_setting_and_access() {
    let token = ("CONSOLE_TOKEN", OPERATOR);
    let trusting = Stage::with(&[token, ("CONSOLE_USER_HEADER", "X-Forwarded-User")]).await;
    let others = Stage::with(&[token]).await;
    let bearer = format!("Bearer {OPERATOR}");
    let bearer = ("authorization", bearer.as_str());
    let user = ("x-forwarded-user", "ann@example.com");
    for (stage, expected) in [
        (&trusting, "ann@example.com, console, "),
        (&others, "console, "),
    ] {
        let path = "/endpoints/default/pause";
        let headers = [JSON, bearer, user];
        let paused = stage.send(Method::POST, path, &headers, "{}").await;
        assert_eq!(paused.status, StatusCode::OK);
        let who = &stage.operator.actions(1).await.unwrap()[0].who;
        assert!(who.starts_with(expected), "{who}");
    }
    let headers = [bearer, user];
    let session = trusting.send(Method::GET, "/session", &headers, "").await;
    assert_eq!(session.json["user"], "ann@example.com");
    let session = trusting.send(Method::GET, "/session", &[user], "").await;
    assert_eq!(session.json["user"], Value::Null);
    let refused = trusting.send(Method::GET, "/deliveries", &[user], "").await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}
