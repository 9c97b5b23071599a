//! HTTP client that sends arbitrary bytes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Upper limit of an exchange.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// Behaviour of the client after its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Keeps the connection open in both directions.
    Wait,
    /// Closes its sending side (a TCP half-close).
    SayEnd,
}

/// Answer as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    pub body: String,
}

/// Sends bytes and reads all answers until the server closes the connection. After a reset,
/// returns the answers before it.
pub async fn exchange(
    server: SocketAddr,
    request: &[u8],
    then: Then,
) -> anyhow::Result<Vec<RawAnswer>> {
    let mut stream = TcpStream::connect(server).await?;
    // Concurrently: a server can refuse a large request before all of it is sent.
    let (mut reader, mut writer) = stream.split();
    let send = async {
        let _refused_meanwhile = writer.write_all(request).await;
        if then == Then::SayEnd {
            let _reset = writer.shutdown().await;
        }
    };
    let mut answers = Vec::new();
    let receive = async { while matches!(reader.read_buf(&mut answers).await, Ok(1..)) {} };
    timeout(ANSWERED_WITHIN, async { tokio::join!(send, receive) })
        .await
        .context("the server neither answers nor closes")?;
    parse_all(&answers)
}

/// Parses consecutive answers, each with a `Content-Length`.
pub fn parse_all(mut bytes: &[u8]) -> anyhow::Result<Vec<RawAnswer>> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let (answer, rest) = parse(bytes)
            .with_context(|| format!("invalid answer: {}", String::from_utf8_lossy(bytes)))?;
        bytes = rest;
        // Skips 100 Continue.
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    Ok(answers)
}

fn parse(bytes: &[u8]) -> anyhow::Result<(RawAnswer, &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|window| window == END);
    let (head, rest) = bytes.split_at(end.context("truncated head")? + END.len());
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ").and_then(|s| s.get(..3));
    let status = status.context("no status")?.parse()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap_or("0").parse()?;
    ensure!(rest.len() >= length, "truncated body");
    let (body, rest) = rest.split_at(length);
    let body = std::str::from_utf8(body)?.to_owned();
    Ok((RawAnswer { status, head, body }, rest))
}
