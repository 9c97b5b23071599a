//! Without tokens: protection against web pages in a browser on the same machine.

use crate::cases::{KINDS, cases};
use crate::encoding::Encoding;
use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posts_of_web_pages_are_refused_without_tokens() {
    let stage = Stage::start("", &[]).await;
    for kind in KINDS {
        let body = cases(kind).swap_remove(0).body;
        for page in [
            ("origin", "http://page.example"),
            ("origin", "null"),
            ("host", "page.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            for encoding in [Encoding::Json, Encoding::Form] {
                let content_type = encoding.content_type();
                let headers = [("content-type", content_type.as_str()), page];
                let answer = stage.post(kind, &headers, encoding.encode(&body)).await;
                assert_eq!(answer.status, 403, "{kind} {page:?}: {}", answer.body);
            }
        }
        let labels = [("source", kind), ("reason", "foreign_page")];
        let refused = stage.metrics().await;
        let refused = refused.sum_where("wahook_source_events_refused_total", &labels);
        assert_eq!(refused, 8.0, "{kind}");
    }
    assert_eq!(stage.receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_or_signature_replaces_the_protection() {
    const TOKEN: &str = "a-token-of-good-length";
    let stage = Stage::start("", &[("PRODUCER_TOKEN", TOKEN)]).await;
    let headers = [
        ("content-type", "application/json"),
        ("host", "wahook.example"),
        ("x-api-key", TOKEN),
    ];
    let answer = stage.post("generic", &headers, r#"{"event":"x"}"#).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
}
