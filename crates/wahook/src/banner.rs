//! Banner that a new user sees at start.

use std::{
    io::{IsTerminal, stdout},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use wahook_console::Console;

use crate::StandaloneSettings;

const SAMPLE: &str = r#"{"event":"message_create","data":{"body":"Hello"}}"#;

/// Prints the banner if standard output is a terminal. Other readers have the log.
#[expect(clippy::print_stdout, reason = "the command that a person copies")]
pub(crate) fn print(banner: &str) {
    if stdout().is_terminal() {
        println!("{banner}");
    }
}

/// Returns the addresses, and the command that sends a first event.
pub(crate) fn of(settings: &StandaloneSettings, console: Option<&Console>) -> String {
    let events = reachable(settings.producer.listen.socket());
    let operators = reachable(settings.delivery.listen.socket());
    let webhooks: Vec<_> = settings.delivery.endpoints.list.iter().collect();
    let webhooks: Vec<_> = webhooks.iter().map(|e| e.shown_url.to_string()).collect();
    let token = if settings.producer.tokens.is_empty() {
        ""
    } else {
        " -H \"authorization: Bearer ${PRODUCER_TOKEN%%,*}\""
    };
    let console = console.and_then(|console| console.address().ok());
    let console = console.map(|address| {
        let address = reachable(address);
        format!("\n  console   http://{address}/ (every delivery, and why it failed)")
    });
    let page = settings.receiver.as_ref().map(|receiver| {
        let page = reachable(receiver.address.socket());
        format!("\n  receiver  http://{page}/ (test receiver, because WEBHOOK_URL is not set)")
    });
    format!(
        "
  data      {data}
  events    http://{events}/v1/events
  metrics   http://{events}/metrics (accepted events), http://{operators}/metrics (deliveries)
  webhook   {webhooks}{page}{console}

Send an event from another terminal:

curl -i http://{events}/v1/events{token} -H 'content-type: application/json' -d '{SAMPLE}'
",
        data = settings.data.display(),
        webhooks = webhooks.join(", "),
        page = page.unwrap_or_default(),
        console = console.unwrap_or_default(),
    )
}

/// Returns the address to connect to: loopback for an unspecified address.
pub(crate) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}
