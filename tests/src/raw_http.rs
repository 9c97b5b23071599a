//! How does a test send what no HTTP client would?

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No answer takes longer, except one that the test waits for on purpose.
const ANSWERED_WITHIN: Duration = Duration::from_secs(40);

/// What a client does once it has sent everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// It waits, and could send more.
    Wait,
    /// It says that nothing more will come (a TCP half-close).
    SayEnd,
}

/// One answer, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: u16,
    /// The status line and the headers, in small letters.
    pub head: String,
    pub body: String,
}

/// Sends these bytes and reads all answers until the server closes the connection. Where it
/// resets it, what came before counts.
pub async fn exchange(
    server: SocketAddr,
    request: &[u8],
    then: Then,
) -> anyhow::Result<Vec<RawAnswer>> {
    let mut stream = TcpStream::connect(server).await?;
    // Both at once: a server that refuses a large request answers before it is all sent.
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

/// Reads answers that lie one behind the other, each with a `Content-Length`.
pub fn parse_all(mut bytes: &[u8]) -> anyhow::Result<Vec<RawAnswer>> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let (answer, rest) = parse(bytes)
            .with_context(|| format!("no answer: {}", String::from_utf8_lossy(bytes)))?;
        bytes = rest;
        // Only an interim answer: 100 Continue.
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    Ok(answers)
}

fn parse(bytes: &[u8]) -> anyhow::Result<(RawAnswer, &[u8])> {
    const END: &[u8] = b"\r\n\r\n";
    let end = bytes.windows(END.len()).position(|window| window == END);
    let (head, rest) = bytes.split_at(end.context("the head has no end")? + END.len());
    let head = std::str::from_utf8(head)?.to_ascii_lowercase();
    let status = head.strip_prefix("http/1.1 ").and_then(|s| s.get(..3));
    let status = status.context("no status")?.parse()?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.unwrap_or("0").parse()?;
    ensure!(rest.len() >= length, "the body is cut off");
    let (body, rest) = rest.split_at(length);
    let body = std::str::from_utf8(body)?.to_owned();
    Ok((RawAnswer { status, head, body }, rest))
}
