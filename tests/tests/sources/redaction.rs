//! Keys of gateways and chosen members, which are neither delivered nor logged.

use serde_json::{Value, json};

use crate::encoding::Encoding;
use crate::stage::{Record, Stage};

const REDACTED: &str = "[redacted]";

/// Returns a body as it is delivered without settings.
pub(crate) fn redacted(kind: &str, json: &str) -> String {
    let names: &[&str] = match kind {
        "evolution" => &["apikey", "api_key"],
        "wuzapi" => &["token"],
        _ => &[],
    };
    let members: Value = serde_json::from_str(json).unwrap();
    let mut redacted = json.to_owned();
    for name in names {
        if let Some(value) = members.get(name) {
            let member = format!("\"{name}\":{value}");
            assert!(redacted.contains(&member), "{member} in {json}");
            redacted = redacted.replace(&member, &format!("\"{name}\":\"{REDACTED}\""));
        }
    }
    redacted
}

/// Delivers one request, and returns the body and the record.
async fn deliver(stage: &Stage, to: &str, encoding: Encoding, json: &str) -> (Vec<u8>, Record) {
    let headers = [("content-type", encoding.content_type())];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let answer = stage.post(to, &headers, encoding.encode(json)).await;
    let id = answer.accepted_id();
    let post = stage.delivery(&id).await;
    (post.body.to_vec(), stage.record(&id).await)
}

fn contains(body: &[u8], text: &str) -> bool {
    body.windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_gateways_are_neither_delivered_nor_logged() {
    const SECRET: &str = "hunter2-hunter2";
    let evolution = json!({
        "event": "messages.upsert", "instance": "shop1", "apikey": SECRET,
        "date_time": "2025-11-28T08:20:00.000Z", "data": {"key": {"id": "A", "remoteJid": "1@c.us"}},
    });
    let wuzapi =
        json!({"type": "Presence", "event": {"From": "1@c.us"}, "token": SECRET, "userID": "u"});
    let sources: String = ["evolution", "wuzapi"]
        .map(|kind| {
            format!(
                "[[source]]\nname = \"{kind}\"\nkind = \"{kind}\"\n\
                 [[source]]\nname = \"{kind}-documented\"\nkind = \"{kind}\"\ndeliver = \"documented\"\n"
            )
        })
        .concat();
    let stage = Stage::start(&sources, &[("RUST_LOG", "trace")]).await;
    let forms = [Encoding::Json, Encoding::Form, Encoding::Multipart];
    for (kind, body, encodings) in [
        ("evolution", &evolution, &forms[..1]),
        ("wuzapi", &wuzapi, &forms[..]),
    ] {
        for encoding in encodings {
            for to in [kind.to_owned(), format!("{kind}-documented")] {
                let body = body.to_string();
                let (delivered, record) = deliver(&stage, &to, *encoding, &body).await;
                assert!(!contains(&delivered, SECRET), "{to} {encoding:?}");
                assert!(
                    !record.payload.to_string().contains(SECRET),
                    "{to} {encoding:?}"
                );
                if to == kind {
                    assert_eq!(
                        delivered,
                        encoding.encode(&redacted(kind, &body)),
                        "{encoding:?}"
                    );
                    assert!(
                        record.payload.to_string().contains(REDACTED),
                        "{to} {encoding:?}"
                    );
                }
            }
        }
    }
    let log = stage.program.stderr_so_far();
    let line = log.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chosen_members_are_redacted_in_both_ways_of_delivery() {
    let source = |name: &str, deliver: &str, more: &str| {
        format!(
            "[[source]]\nname = \"{name}\"\nkind = \"generic\"\ndeliver = \"{deliver}\"\n\
             redact = [\"/a\", \"/list/*/b\"]\n{more}"
        )
    };
    let sources = [
        source("received", "as-received", ""),
        source("documented", "documented", ""),
        "[[source]]\nname = \"kept\"\nkind = \"evolution\"\nkeep_keys = true\n".to_owned(),
    ]
    .concat();
    let stage = Stage::start(&sources, &[]).await;
    let body = r#"{ "event":"x","a" : {"b":"SECRET"},"list":[{"b":"SECRET","c":1e2},{"b":2}] }"#;
    let expected = r#"{ "event":"x","a" : "[redacted]","list":[{"b":"[redacted]","c":1e2},{"b":"[redacted]"}] }"#;
    let (delivered, record) = deliver(&stage, "received", Encoding::Json, body).await;
    assert_eq!(String::from_utf8(delivered).unwrap(), expected);
    assert!(!record.payload.to_string().contains("SECRET"));
    let (delivered, record) = deliver(&stage, "documented", Encoding::Json, body).await;
    let event: Value = serde_json::from_slice(&delivered).unwrap();
    let list = json!([{"b": REDACTED, "c": 100}, {"b": REDACTED}]);
    assert_eq!(
        event["data"],
        json!({"event": "x", "a": REDACTED, "list": list})
    );
    assert!(!record.payload.to_string().contains("SECRET"));
    let body = r#"{"event":"x","instance":"i","apikey":"SECRET"}"#;
    let (delivered, _) = deliver(&stage, "kept", Encoding::Json, body).await;
    assert!(contains(&delivered, "SECRET"));
}
