//! AMQP client that writes and reads messages byte by byte.
//!
//! Tests use it to publish messages that no library would, and to see exactly what the broker
//! stores.

mod properties;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use properties::{Properties, long_string, table};

const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;
const HEARTBEAT: u8 = 8;
const FRAME_END: u8 = 0xce;
const BASIC: u16 = 60;

/// Methods that the broker sends in normal operation, as (class, method).
const START: (u16, u16) = (10, 10);
const TUNE: (u16, u16) = (10, 30);
const OPENED: (u16, u16) = (10, 41);
const CHANNEL_OPENED: (u16, u16) = (20, 11);
const CONFIRMS_SELECTED: (u16, u16) = (85, 11);
const CONFIRMED: (u16, u16) = (BASIC, 80);
const DECLARE: (u16, u16) = (50, 10);
const DECLARED: (u16, u16) = (50, 11);
const GOT: (u16, u16) = (BASIC, 71);
const GOT_NONE: (u16, u16) = (BASIC, 72);

/// Connection with one channel in confirm mode.
#[derive(Debug)]
pub struct AmqpWire {
    stream: TcpStream,
    frame_max: usize,
}

/// Message as stored by the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireMessage {
    pub properties: Properties,
    pub body: Vec<u8>,
}

impl AmqpWire {
    /// Connects to a URL of the form `amqp://guest:guest@127.0.0.1:PORT/VHOST`.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let (address, vhost) = url
            .split_once('@')
            .and_then(|(_, rest)| rest.split_once('/'))
            .with_context(|| format!("unsupported AMQP URL: {url}"))?;
        let vhost = if vhost == "%2f" { "/" } else { vhost };
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"AMQP\x00\x00\x09\x01").await?;
        let mut wire = Self {
            stream,
            frame_max: 0,
        };
        wire.expect(START).await?;
        let no_properties = table([]);
        let credentials = long_string(b"\0guest\0guest");
        let parts = [
            &no_properties,
            &short(b"PLAIN")?,
            &credentials,
            &short(b"en_US")?,
        ];
        wire.call(0, (10, 11), &parts.map(Vec::as_slice)).await?;
        let tune = wire.expect(TUNE).await?;
        let (limits, _heartbeat) = tune
            .split_at_checked(6)
            .context("truncated Connection.Tune")?;
        wire.frame_max = number(limits.get(2..).unwrap_or_default()).try_into()?;
        wire.call(0, (10, 31), &[limits, &[0, 0]]).await?;
        let open = [&short(vhost.as_bytes())?, &[0][..], &[0]];
        wire.call(0, (10, 40), &open).await?;
        wire.expect(OPENED).await?;
        wire.call(1, (20, 10), &[&[0]]).await?;
        wire.expect(CHANNEL_OPENED).await?;
        wire.call(1, (85, 10), &[&[0]]).await?;
        wire.expect(CONFIRMS_SELECTED).await?;
        Ok(wire)
    }

    /// Publishes to an exchange (`""` publishes to the queue named by the routing key);
    /// returns after the publisher confirm.
    pub async fn publish(
        &mut self,
        exchange: &str,
        routing_key: &[u8],
        message: &WireMessage,
    ) -> anyhow::Result<()> {
        const MANDATORY: u8 = 1;
        let (exchange, routing_key) = (short(exchange.as_bytes())?, short(routing_key)?);
        let parts = [&[0, 0][..], &exchange, &routing_key, &[MANDATORY]];
        self.call(1, (BASIC, 40), &parts).await?;
        let mut header = BASIC.to_be_bytes().to_vec();
        header.extend([0, 0]);
        header.extend((message.body.len() as u64).to_be_bytes());
        header.extend(message.properties.encode());
        self.write_frame(HEADER, 1, &header).await?;
        const OVERHEAD: usize = 8;
        for part in message.body.chunks(self.frame_max - OVERHEAD) {
            self.write_frame(BODY, 1, part).await?;
        }
        self.expect(CONFIRMED).await?;
        Ok(())
    }

    /// Removes and returns the first message of a queue.
    pub async fn get(&mut self, queue: &str) -> anyhow::Result<Option<WireMessage>> {
        const NO_ACK: u8 = 1;
        let queue = short(queue.as_bytes())?;
        self.call(1, (BASIC, 70), &[&[0, 0], &queue, &[NO_ACK]])
            .await?;
        match self.method().await? {
            (GOT_NONE, _) => return Ok(None),
            (GOT, _) => {}
            (other, _) => bail!("expected {GOT:?}, got {other:?}"),
        }
        let header = self.frame(HEADER).await?;
        let length = usize::try_from(number(
            header.get(4..12).context("truncated content header")?,
        ))?;
        let properties = Properties::decode(header.get(12..).unwrap_or_default())?;
        let mut body = Vec::new();
        while body.len() < length {
            body.extend(self.frame(BODY).await?);
        }
        Ok(Some(WireMessage { properties, body }))
    }

    /// Returns the number of ready messages of a queue; fails if it does not exist.
    pub async fn depth(&mut self, queue: &str) -> anyhow::Result<u64> {
        const PASSIVE: u8 = 1;
        let (name, no_arguments) = (short(queue.as_bytes())?, table([]));
        self.call(1, DECLARE, &[&[0, 0], &name, &[PASSIVE], &no_arguments])
            .await?;
        let declared = self.expect(DECLARED).await;
        let declared = declared.with_context(|| queue.to_owned())?;
        // The name, the number of messages, and that of consumers.
        let messages = declared.get(name.len()..name.len() + 4);
        Ok(number(messages.context("truncated Queue.Declare-Ok")?))
    }

    async fn call(
        &mut self,
        channel: u16,
        (class, method): (u16, u16),
        arguments: &[&[u8]],
    ) -> anyhow::Result<()> {
        let mut payload = class.to_be_bytes().to_vec();
        payload.extend(method.to_be_bytes());
        payload.extend(arguments.concat());
        self.write_frame(METHOD, channel, &payload).await
    }

    async fn write_frame(&mut self, kind: u8, channel: u16, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend(u32::try_from(payload.len())?.to_be_bytes());
        frame.extend(payload);
        frame.push(FRAME_END);
        Ok(self.stream.write_all(&frame).await?)
    }

    /// Reads the next method and returns its arguments; fails on another method.
    async fn expect(&mut self, wanted: (u16, u16)) -> anyhow::Result<Vec<u8>> {
        let (id, arguments) = self.method().await?;
        let shown = String::from_utf8_lossy(&arguments);
        ensure!(id == wanted, "expected {wanted:?}, got {id:?}: {shown}");
        Ok(arguments)
    }

    async fn method(&mut self) -> anyhow::Result<((u16, u16), Vec<u8>)> {
        let payload = self.frame(METHOD).await?;
        let (id, arguments) = payload.split_first_chunk().context("truncated method")?;
        let [class, class_end, method, method_end] = *id;
        let class = u16::from_be_bytes([class, class_end]);
        let method = u16::from_be_bytes([method, method_end]);
        Ok(((class, method), arguments.to_vec()))
    }

    async fn frame(&mut self, wanted: u8) -> anyhow::Result<Vec<u8>> {
        loop {
            let kind = self.stream.read_u8().await?;
            self.stream.read_u16().await?;
            let length = self.stream.read_u32().await?;
            let mut payload = vec![0; length.try_into()?];
            self.stream.read_exact(&mut payload).await?;
            ensure!(
                self.stream.read_u8().await? == FRAME_END,
                "missing frame end"
            );
            match kind {
                HEARTBEAT => {}
                kind if kind == wanted => return Ok(payload),
                other => bail!("expected a frame of type {wanted}, got {other}"),
            }
        }
    }
}

fn short(text: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![u8::try_from(text.len())?];
    bytes.extend(text);
    Ok(bytes)
}

/// Decodes a big-endian number.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
