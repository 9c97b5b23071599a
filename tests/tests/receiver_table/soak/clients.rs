//! Hostile clients of the producer.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use flate2::{Compression, write::GzEncoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Pause between two attempts of a client.
const PAUSE: Duration = Duration::from_millis(500);
/// The same for bodies of the largest size, which take the client's time as well.
const PAUSE_OF_LARGE: Duration = Duration::from_secs(3);
/// Time for which a slow client keeps a connection.
const KEPT: Duration = Duration::from_secs(20);
const LARGE: usize = 14 << 20;

/// Starts all clients, some of them idle; they repeat their attempts until they are aborted.
pub(super) fn start_all(server: SocketAddr, idle_clients: usize) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for frames in [rapid_reset(), continuation(), settings(), pings()] {
        clients.spawn(repeat(PAUSE, move || http2_flood(server, frames.clone())));
    }
    for number in 0..idle_clients {
        clients.spawn(repeat(PAUSE, move || idle(server, number)));
    }
    for _ in 0..32 {
        clients.spawn(repeat(PAUSE, move || slow_writer(server)));
    }
    for _ in 0..12 {
        clients.spawn(repeat(PAUSE, move || slow_reader(server)));
    }
    clients.spawn(repeat(PAUSE_OF_LARGE, move || {
        say(server, request(&["content-encoding: gzip"], gzip_bomb()))
    }));
    for json in [many_values(), deep()] {
        clients.spawn(repeat(PAUSE_OF_LARGE, move || {
            say(server, request(&[], &json))
        }));
    }
    clients
}

async fn repeat<F>(pause: Duration, attempt: impl Fn() -> F)
where
    F: Future<Output = std::io::Result<()>>,
{
    loop {
        // Closed and refused connections are the expected end.
        let _refused = timeout(2 * KEPT, attempt()).await;
        sleep(pause).await;
    }
}

/// Connects from another address for every 512 connections of idle clients.
async fn connect(server: SocketAddr, peer: usize) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // Little of an answer fits into the buffers of a client that does not read.
    socket.set_recv_buffer_size(4_096)?;
    let host = 2 + u8::try_from(peer / 512).unwrap_or(0);
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into())?;
    socket.connect(server).await
}

/// Sends bytes and reads the answer to its end.
async fn say(server: SocketAddr, bytes: Vec<u8>) -> std::io::Result<()> {
    let mut stream = connect(server, 0).await?;
    let (mut reader, mut writer) = stream.split();
    let read = async { while matches!(reader.read(&mut [0; 4_096]).await, Ok(1..)) {} };
    let write = async {
        let _refused = writer.write_all(&bytes).await;
        let _closed = writer.shutdown().await;
    };
    tokio::join!(read, write);
    Ok(())
}

async fn http2_flood(server: SocketAddr, frames: Vec<u8>) -> std::io::Result<()> {
    let mut stream = connect(server, 0).await?;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await?;
    stream.write_all(&frame(4, 0, 0, &[])).await?;
    loop {
        stream.write_all(&frames).await?;
    }
}

async fn idle(server: SocketAddr, number: usize) -> std::io::Result<()> {
    let mut stream = connect(server, number).await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// Sends a body of the largest size byte by byte.
async fn slow_writer(server: SocketAddr) -> std::io::Result<()> {
    let mut stream = connect(server, 0).await?;
    let mut request = head(&[&format!("content-length: {LARGE}")]);
    request.extend(vec![b' '; 1 << 20]);
    stream.write_all(&request).await?;
    loop {
        stream.write_all(b" ").await?;
        sleep(PAUSE).await;
    }
}

/// Sends a batch whose lines are refused with long answers, and does not read them.
async fn slow_reader(server: SocketAddr) -> std::io::Result<()> {
    let lines = "{\"event\":\"Wrong Name\",\"data\":7}\n".repeat(10_000);
    let mut stream = connect(server, 0).await?;
    let length = format!("content-length: {}", lines.len());
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\n\
         content-type: application/x-ndjson\r\n{length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(lines.as_bytes()).await?;
    sleep(KEPT).await;
    Ok(())
}

fn head(lines: &[&str]) -> Vec<u8> {
    let lines = lines.join("\r\n");
    format!(
        "POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{lines}\r\n\r\n"
    )
    .into_bytes()
}

fn request(lines: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    let mut all = lines.to_vec();
    all.push(&length);
    let mut request = head(&all);
    request.extend(body);
    request
}

/// 200 MiB of blanks in 1 MB. Compressed once: without optimisation it takes seconds.
pub(super) fn gzip_bomb() -> &'static [u8] {
    static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for _ in 0..200 {
            encoder.write_all(&vec![b' '; 1 << 20]).unwrap();
        }
        encoder.finish().unwrap()
    });
    &BOMB
}

/// Array of small values, whose parse tree takes far more memory than its text.
fn many_values() -> Vec<u8> {
    let values = "0,".repeat(LARGE / 2);
    format!("{{\"event\":\"attack\",\"data\":{{\"a\":[{values}0]}}}}").into_bytes()
}

fn deep() -> Vec<u8> {
    let open = "[".repeat(LARGE / 2);
    format!("{{\"event\":\"attack\",\"data\":{{\"a\":{open}").into_bytes()
}

/// Returns an HTTP/2 frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Requests that are reset at once.
fn rapid_reset() -> Vec<u8> {
    // GET, http, / and an empty authority of the static table.
    let request = [0x82, 0x86, 0x84, 0x01, 0x00];
    let streams = (0..500).map(|n| 2 * n + 1);
    let frames = streams.flat_map(|stream| {
        let mut both = frame(1, 0x5, stream, &request);
        both.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        both
    });
    frames.collect()
}

/// Header section that never ends.
pub(super) fn continuation() -> Vec<u8> {
    let mut frames = frame(1, 0, 1, &[0x88]);
    for _ in 0..64 {
        frames.extend(frame(9, 0, 1, &[0x88; 16_384]));
    }
    frames
}

pub(super) fn settings() -> Vec<u8> {
    frame(4, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(1_000)
}

pub(super) fn pings() -> Vec<u8> {
    frame(6, 0, 0, &[7; 8]).repeat(1_000)
}
