//! Prints the addresses, the secret and a command that sends a first event.

use wahook_tests::mongod::Mongod;
use wahook_tests::rabbitmq::RabbitMq;

use crate::places::secret;
use crate::receiver::TestReceiver;
use crate::service::Service;
use crate::system::System;

/// Sample event without a timestamp, so that each request is a new event.
const SAMPLE: &str = concat!(
    r#"{"event":"message_create","data":{"id":{"fromMe":false,"remote":"15551234567@c.us","#,
    r#""id":"3EB0C767D26A1B7F5C83","_serialized":"false_15551234567@c.us_3EB0C767D26A1B7F5C83"},"#,
    r#""body":"Hello","type":"chat","timestamp":1727784000,"from":"15551234567@c.us","#,
    r#""to":"15557654321@c.us","fromMe":false,"hasMedia":false,"isForwarded":false}}"#,
);

/// Prints the values of this run. Values set by the user may be secret and are not shown.
pub(crate) fn print_banner(system: &System) {
    let url = |service: &Option<Service>| service.as_ref().map(Service::base_url);
    let producer = url(&system.producer).unwrap_or_default();
    let consumer = url(&system.consumer).unwrap_or_default();
    let or_yours =
        |ours: Option<String>, name: &str| ours.unwrap_or_else(|| format!("as set in {name}"));
    let receiver = system.receiver.as_ref();
    let webhook = or_yours(receiver.map(TestReceiver::url), "WEBHOOK_URL");
    let page = receiver.map(TestReceiver::page);
    let page = page.map_or_else(String::new, |page| format!("\n  page      {page}"));
    let mongodb = or_yours(system.mongod.as_ref().map(Mongod::uri), "MONGODB_URI");
    let rabbitmq = or_yours(system.rabbitmq.as_ref().map(RabbitMq::amqp_url), "AMQP_URL");
    let secret_shown = or_yours(system.secret.clone(), "WEBHOOK_SECRET");
    let authorization = match secret("PRODUCER_TOKEN") {
        Ok(None) => "",
        _ => "-H \"authorization: Bearer ${PRODUCER_TOKEN%%,*}\" ",
    };
    println!(
        "
  producer  {producer}/v1/events
  metrics   {producer}/metrics (producer), {consumer}/metrics (consumer)
  webhook   {webhook}{page}
  secret    {secret_shown}
  MongoDB   {mongodb}
  RabbitMQ  {rabbitmq}

Send an event, in another terminal:

curl -i {producer}/v1/events {authorization}-H 'content-type: application/json' -d '{SAMPLE}'

Deliveries, as they happen (Ctrl-C stops everything):
"
    );
}
