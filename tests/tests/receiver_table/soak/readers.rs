//! Hostile clients of the console.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::events::Ids;

const PAUSE: Duration = Duration::from_millis(500);
/// Time for which a client that does not read keeps a connection.
const KEPT: Duration = Duration::from_secs(20);
/// More live streams than the console permits.
const STREAMS: usize = 40;
/// Clients that ask for a large delivery; half of them do not read the answer.
const DETAILS: usize = 24;
const SEARCHES: [&str; 6] = [
    "deliveries?error=no-such-text&since=6d&limit=200",
    "deliveries?error=e&since=6d&limit=200",
    "deliveries?limit=200",
    "deliveries?status=retrying&event=media",
    "stats?since=30d",
    "dead-letters",
];

/// Starts all clients, and repeats their attempts until it is dropped. `media` has the
/// ids of large events.
pub(super) async fn run(console: SocketAddr, media: Arc<Ids>) {
    let mut clients = JoinSet::new();
    for _ in 0..2 {
        for search in SEARCHES {
            clients.spawn(repeat(console, move || search.to_owned(), true));
        }
    }
    for _ in 0..STREAMS {
        clients.spawn(repeat(console, || "events/live".to_owned(), false));
    }
    for number in 0..DETAILS {
        let media = Arc::clone(&media);
        let path = move || format!("deliveries/{}/good", media.largest());
        clients.spawn(repeat(console, path, number % 2 == 0));
    }
    while clients.join_next().await.is_some() {}
}

async fn repeat(console: SocketAddr, path: impl Fn() -> String, reads: bool) {
    loop {
        // Closed connections are an expected end.
        let _refused = timeout(2 * KEPT, request(console, &path(), reads)).await;
        sleep(PAUSE).await;
    }
}

async fn request(console: SocketAddr, path: &str, reads: bool) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    if !reads {
        socket.set_recv_buffer_size(4_096)?;
    }
    let mut stream: TcpStream = socket.connect(console).await?;
    let head =
        format!("GET /api/v1/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    if reads {
        let mut part = vec![0; 1 << 16];
        while stream.read(&mut part).await? > 0 {}
    } else {
        sleep(KEPT).await;
    }
    Ok(())
}
