//! Delivery from the producer through RabbitMQ and the consumer to the page.

use serde_json::json;
use wahook_tests::pair::{SECRET as PAIR_SECRET, Servers};
use wahook_tests::receiver::Receiver;

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retried_event_is_shown_twice_with_valid_signatures() {
    let stage = Stage::with(&[("WEBHOOK_SECRET", PAIR_SECRET)]).await;
    let page = stage.browser().await;
    let servers = Servers::start().await;
    let settings = [
        ("WEBHOOK_URL", stage.url("/webhook")),
        ("WEBHOOK_RETRY_DELAY", "1000".to_owned()),
    ];
    let settings = settings
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    // The default receiver gets no request; `WEBHOOK_URL` overrides its address.
    let pair = servers.pair(Receiver::start().await, &settings).await;
    page.click("#answer-500").await;
    page.wait_text("#rule", "the next 1: 500").await;
    let event = json!({ "event": "message_create", "data": { "body": "Grüße" } });
    let id = pair.post(&event).await.accepted_id();
    page.wait_text("#delivery-1", &id).await;
    page.wait_text("#delivery-1 .answer.bad", "500").await;
    page.wait_text("#delivery-2", "attempt 2").await;
    let second = page.text("#delivery-2").await;
    assert!(second.contains(&id), "{second}");
    let gap = second
        .split_once('+')
        .and_then(|(_, gap)| gap.split_whitespace().next());
    let gap: f64 = gap.unwrap().parse().unwrap();
    assert!(gap >= 1.0, "{second}");
    for number in [1, 2] {
        page.click(&format!("#delivery-{number}")).await;
        page.wait_text("#detail-title", &format!("number {number}"))
            .await;
        let signatures = page.text("#signatures").await;
        assert_eq!(signatures.matches("✓ valid").count(), 2, "{signatures}");
    }
}
