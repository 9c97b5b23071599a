//! What a person has to know to begin.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::StandaloneSettings;

const SAMPLE: &str = r#"{"event":"message_create","data":{"body":"Hello"}}"#;

/// Told on standard output; what programs read is on standard error.
#[expect(
    clippy::print_stdout,
    reason = "the line that a person is to copy and run"
)]
pub(crate) fn print(banner: &str) {
    println!("{banner}");
}

/// Where everything is, and the line that shows an event all the way.
pub(crate) fn of(settings: &StandaloneSettings) -> String {
    let events = reachable(settings.intake.listen.socket());
    let operators = reachable(settings.delivery.listen.socket());
    let webhooks: Vec<_> = settings.delivery.endpoints.list.iter().collect();
    let webhooks: Vec<_> = webhooks.iter().map(|e| e.shown_url.to_string()).collect();
    let token = if settings.intake.tokens.is_empty() {
        ""
    } else {
        " -H \"authorization: Bearer ${PRODUCER_TOKEN%%,*}\""
    };
    let page = settings.receiver.as_ref().map(|receiver| {
        let page = reachable(receiver.address.socket());
        format!(
            "\n  look      http://{page}/ (no WEBHOOK_URL is set: a test receiver is the webhook)"
        )
    });
    format!(
        "
  data      {data}
  events    http://{events}/v1/events
  metrics   http://{events}/metrics (what comes in), http://{operators}/metrics (what goes out)
  webhook   {webhooks}{page}

Send an event, in another terminal:

curl -i http://{events}/v1/events{token} -H 'content-type: application/json' -d '{SAMPLE}'
",
        data = settings.data.display(),
        webhooks = webhooks.join(", "),
        page = page.unwrap_or_default(),
    )
}

/// The address to connect to: "every interface" is none.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}
