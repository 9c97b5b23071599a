//! `wahook-floor`: minimal programs over the same crates, the baseline of `wahook-bench`.
//!
//! - `wahook-floor ingest`: accepts a request, publishes its body (of a batch, each line), and
//!   answers 202 after the last confirm.
//! - `wahook-floor drain`: takes a message, sends its body by POST, acknowledges it.
//!
//! No checks, no signature, no retries, no log, no metrics, no reconnecting.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::{Context, ensure};
use clap::{Parser, Subcommand};
use futures_util::StreamExt;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm,
};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

const QUEUE: &str = "floor";
const PERSISTENT: u8 = 2;
const BATCH: &str = "application/x-ndjson";

/// Baseline of the benchmarks: same crates, minimal work
#[derive(Debug, Parser)]
#[command(name = "wahook-floor")]
struct Arguments {
    /// URL of the broker
    #[arg(long)]
    amqp_url: String,
    #[command(subcommand)]
    part: Part,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Publish the bodies of requests, with confirms
    Ingest {
        /// Port on 127.0.0.1
        #[arg(long)]
        port: u16,
    },
    /// Deliver messages by POST
    Drain {
        /// URL of the webhook
        #[arg(long)]
        url: String,
        /// Maximum number of requests in flight
        #[arg(long)]
        concurrency: u16,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let properties = ConnectionProperties::default();
    let connection = Connection::connect(&arguments.amqp_url, properties).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    match arguments.part {
        Part::Ingest { port } => ingest(channel, (Ipv4Addr::LOCALHOST, port).into()).await,
        Part::Drain { url, concurrency } => drain(channel, url, concurrency).await,
    }
}

async fn declare(channel: &Channel) -> anyhow::Result<()> {
    let mut arguments = FieldTable::default();
    let quorum = AMQPValue::LongString("quorum".into());
    arguments.insert("x-queue-type".into(), quorum);
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(QUEUE.into(), options, arguments)
        .await?;
    Ok(())
}

async fn ingest(channel: Channel, address: SocketAddr) -> anyhow::Result<()> {
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await?;
    let listener = TcpListener::bind(address).await?;
    println!("listening on http://{address}");
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let channel = channel.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(channel.clone(), request));
            let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // Fails only if the client closes the connection.
            let _closed = served.await;
        });
    }
}

async fn answer(
    channel: Channel,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let status = match publish(&channel, request).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

async fn publish(channel: &Channel, request: Request<Incoming>) -> anyhow::Result<()> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_batch = content_type.is_some_and(|kind| kind == BATCH);
    let body = request.into_body().collect().await?.to_bytes();
    if !is_batch {
        return confirmed(begin(channel, &body).await?).await;
    }
    let mut begun = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        if !line.is_empty() {
            begun.push(begin(channel, line).await?);
        }
    }
    for publish in begun {
        confirmed(publish).await?;
    }
    Ok(())
}

async fn begin(channel: &Channel, body: &[u8]) -> lapin::Result<PublisherConfirm> {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let options = BasicPublishOptions::default();
    let published = channel.basic_publish("".into(), QUEUE.into(), options, body, properties);
    published.await
}

async fn confirmed(publish: PublisherConfirm) -> anyhow::Result<()> {
    let confirmation = publish.await?;
    ensure!(
        matches!(confirmation, Confirmation::Ack(_)),
        "not confirmed"
    );
    Ok(())
}

async fn drain(channel: Channel, url: String, concurrency: u16) -> anyhow::Result<()> {
    // Fails only if a provider is installed already.
    let _present = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(concurrency.into())
        .build()?;
    let prefetch = concurrency.saturating_mul(2);
    channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await?;
    let options = BasicConsumeOptions::default();
    let arguments = FieldTable::default();
    let mut messages = channel
        .basic_consume(QUEUE.into(), "floor".into(), options, arguments)
        .await?;
    let permits = Arc::new(Semaphore::new(concurrency.into()));
    loop {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let message = messages.next().await.context("the subscription ended")??;
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .body(Bytes::from(message.data.clone()));
        tokio::spawn(async move {
            let answered = async {
                let answer = request.send().await?.error_for_status()?;
                answer.bytes().await
            };
            if answered.await.is_ok() {
                let _closed = message.acker.ack(BasicAckOptions::default()).await;
            }
            drop(permit);
        });
    }
}
