//! All sample requests of every kind, in both ways of delivery.

use serde_json::{Value, json};
use wahook_domain::UnixMillis;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::pair::SECRET;
use wahook_tests::receiver::Post;

use crate::cases::{Case, as_in_javascript, cases};
use crate::encoding::{Encoding, FILE};
use crate::redaction::redacted;
use crate::signature::{REQUEST_ID, can_sign, sign, verify};
use crate::stage::{Record, Stage};

const KEY: &str = "a key of at least 32 characters, for all";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    AsReceived,
    Documented,
}

macro_rules! delivered {
    ($($as_received:ident, $documented:ident: $kind:literal;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $as_received() {
            deliver_all($kind, Encoding::of_kind($kind), Form::AsReceived).await;
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $documented() {
            deliver_all($kind, Encoding::of_kind($kind), Form::Documented).await;
        }
    )*};
}

delivered! {
    requests_of_wahook_are_delivered_as_received, events_of_wahook_are_documented: "wahook";
    requests_of_waha_are_delivered_as_received, events_of_waha_are_documented: "waha";
    requests_of_evolution_are_delivered_as_received, events_of_evolution_are_documented: "evolution";
    requests_of_wwebjs_are_delivered_as_received, events_of_wwebjs_are_documented: "wwebjs";
    requests_of_wppconnect_are_delivered_as_received, events_of_wppconnect_are_documented: "wppconnect";
    requests_of_open_wa_are_delivered_as_received, events_of_open_wa_are_documented: "open-wa";
    requests_of_gowa_are_delivered_as_received, events_of_gowa_are_documented: "gowa";
    requests_of_wuzapi_are_delivered_as_received, events_of_wuzapi_are_documented: "wuzapi";
    requests_of_meta_are_delivered_as_received, events_of_meta_are_documented: "meta";
    requests_of_others_are_delivered_as_received, events_of_others_are_documented: "generic";
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_wuzapi_are_delivered_as_received() {
    deliver_all("wuzapi", Encoding::Form, Form::AsReceived).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_wuzapi_become_documented_events() {
    deliver_all("wuzapi", Encoding::Form, Form::Documented).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_of_wuzapi_with_a_file_are_delivered_as_received() {
    deliver_all("wuzapi", Encoding::Multipart, Form::AsReceived).await;
}

/// Posts each request to a source of its own, since many are about the same message.
async fn deliver_all(kind: &str, encoding: Encoding, form: Form) {
    let cases = cases(kind);
    let sources: String = (0..cases.len()).map(|n| source(n, kind, form)).collect();
    let stage = Stage::start(&sources, &[]).await;
    let mut accepted = Vec::new();
    for (n, case) in cases.iter().enumerate() {
        accepted.push(post(&stage, n, kind, encoding, case).await);
    }
    stage
        .receiver
        .wait_for(accepted.iter().flatten().count(), AT_LAST)
        .await;
    for (n, (case, ids)) in cases.iter().zip(accepted).enumerate() {
        let about = format!("{kind}: {n} {}", case.about);
        let wanted = if form == Form::AsReceived {
            1
        } else {
            case.parts.len()
        };
        assert_eq!(ids.len(), wanted, "{about}");
        for (place, id) in ids.iter().enumerate() {
            let post = stage.delivery(id).await;
            let record = stage.record(id).await;
            let identity = if form == Form::AsReceived {
                &case.whole
            } else {
                &case.parts[place]
            };
            check_common(&about, n, identity, &post, &record);
            match form {
                Form::AsReceived => check_as_received(&about, kind, encoding, case, &post, &record),
                Form::Documented => check_documented(&about, kind, n, identity, &post, &record),
            }
        }
    }
}

fn source(n: usize, kind: &str, form: Form) -> String {
    let form = match form {
        Form::AsReceived => "as-received",
        Form::Documented => "documented",
    };
    let secret = can_sign(kind).then(|| format!("secret = \"{KEY}\"\n"));
    let secret = secret.unwrap_or_default();
    format!("[[source]]\nname = \"s{n}\"\nkind = \"{kind}\"\ndeliver = \"{form}\"\n{secret}")
}

/// Returns the ids of the accepted events.
async fn post(stage: &Stage, n: usize, kind: &str, encoding: Encoding, case: &Case) -> Vec<String> {
    let content_type = encoding.content_type();
    let signed = sign(kind, KEY, encoding, &case.body);
    let mut headers = vec![("content-type", content_type.as_str())];
    headers.extend(signed.iter().map(|(name, value)| (*name, value.as_str())));
    let to = match case.path.as_str() {
        "" => format!("s{n}"),
        path => format!("s{n}/{path}"),
    };
    let answer = stage.post(&to, &headers, encoding.encode(&case.body)).await;
    let expected = if kind == "meta" { 200 } else { 202 };
    assert_eq!(
        answer.status, expected,
        "{n} {}: {}",
        case.about, answer.body
    );
    let answer = answer.json();
    let events = answer["events"].as_array().cloned();
    let events = events.unwrap_or_else(|| vec![answer]);
    let ids = events
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned());
    ids.collect()
}

fn check_common(about: &str, n: usize, identity: &Value, post: &Post, record: &Record) {
    let source = format!("s{n}");
    let text = |name: &str| identity[name].as_str();
    let verdict = post.verify(SECRET);
    assert!(verdict.is_valid(), "{about}: {verdict}");
    assert_eq!(post.event(), text("name"), "{about}");
    assert_eq!(post.attempt(), Some(1), "{about}");
    assert_eq!(
        post.header("x-webhook-source"),
        Some(source.as_str()),
        "{about}"
    );
    assert_eq!(post.header("x-webhook-session"), text("session"), "{about}");
    assert_eq!(Some(record.event.as_str()), text("name"), "{about}");
    let expected = [
        Some(source.as_str()),
        text("session"),
        text("chat"),
        text("messageId"),
    ];
    assert_eq!(
        record.origin.each_ref().map(Option::as_deref),
        expected,
        "{about}"
    );
}

fn check_as_received(
    about: &str,
    kind: &str,
    encoding: Encoding,
    case: &Case,
    post: &Post,
    record: &Record,
) {
    let expected = redacted(kind, &case.body);
    let delivered = encoding.encode(&expected);
    assert_eq!(post.body, delivered, "{about}");
    let content_type = encoding.content_type();
    assert_eq!(
        post.header("content-type"),
        Some(content_type.as_str()),
        "{about}"
    );
    // A redacted body, and one with a file, has another signature than the gateway's.
    let is_signed = expected == case.body && encoding != Encoding::Multipart;
    if let Some(is_valid) = verify(kind, KEY, post).filter(|_| is_signed) {
        assert!(is_valid, "{about}: {:?}", post.headers);
    }
    if kind == "waha" {
        assert_eq!(
            post.header("x-webhook-request-id"),
            Some(REQUEST_ID),
            "{about}"
        );
    }
    assert_eq!(post.header("authorization"), None, "{about}");
    let mut payload: Value = serde_json::from_str(&expected).unwrap();
    if !payload.is_object() {
        payload = json!({ "value": payload });
    }
    if encoding == Encoding::Multipart {
        payload["file"] = json!({"name": "photo.jpg", "type": "image/jpeg", "bytes": FILE.len()});
    }
    let logged = as_in_javascript(&record.payload);
    assert_eq!(logged, as_in_javascript(&payload), "{about}");
}

fn check_documented(about: &str, kind: &str, n: usize, part: &Value, post: &Post, record: &Record) {
    assert_eq!(
        post.header("content-type"),
        Some("application/json"),
        "{about}"
    );
    let event: Value = serde_json::from_slice(&post.body).unwrap();
    assert!(post.body.starts_with(b"{\"event\":"), "{about}");
    assert_eq!(event["event"], part["name"], "{about}");
    assert_eq!(
        as_in_javascript(&event["data"]),
        as_in_javascript(&part["data"]),
        "{about}"
    );
    if let Some(moment) = part["timestamp"].as_i64() {
        let moment = UnixMillis::new(moment).to_iso8601();
        assert_eq!(event["timestamp"], moment, "{about}");
    }
    let source = json!({
        "kind": kind, "name": format!("s{n}"), "session": part["session"], "id": part["messageId"],
    });
    assert_eq!(event["source"], source, "{about}");
    let logged = as_in_javascript(&record.payload);
    assert_eq!(logged, as_in_javascript(&part["data"]), "{about}");
}
