//! Bodies of clients that do not know the secret of a source: they are read before their signature
//! can be checked.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::stage::Stage;

const TOKEN: &str = "token-of-the-gateways";
const SOURCES: &str = "[[source]]\nname = \"meta\"\nkind = \"meta\"\nsecret = \"a secret of 40 characters, known to Meta\"\n";
/// Largest body, in bytes; four of them fill the memory.
const LARGEST: usize = 1 << 20;
const CLIENTS: usize = 8;
/// At least as many are refused, with and without a limit of their own.
const REFUSED: usize = 4;

/// Sends all of a body but its last byte, and waits for the answer or the end of the connection.
async fn hold(address: String) {
    let mut client = TcpStream::connect(&address).await.unwrap();
    let headers = format!(
        "POST /v1/in/meta HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         x-hub-signature-256: sha256=00\r\ncontent-length: {LARGEST}\r\n\r\n"
    );
    let body = vec![b' '; LARGEST - 1];
    // The producer ends a connection that it refuses before all of the body has arrived.
    let sent = client
        .write_all(&[headers.as_bytes(), &body].concat())
        .await;
    if sent.is_ok() {
        let _ = client.read(&mut [0; 1]).await;
    }
}

#[tokio::test]
async fn bodies_without_a_signature_leave_memory_and_requests_to_others() {
    let settings = [
        ("PRODUCER_TOKEN", TOKEN),
        ("PRODUCER_MAX_BODY_BYTES", &LARGEST.to_string()),
        ("PRODUCER_MEMORY_BUDGET_BYTES", &(4 * LARGEST).to_string()),
    ];
    let stage = Stage::start(SOURCES, &settings).await;
    let address = stage.producer.trim_start_matches("http://");
    let mut clients: JoinSet<()> = (0..CLIENTS).map(|_| hold(address.to_owned())).collect();
    for _ in 0..REFUSED {
        clients.join_next().await.unwrap().unwrap();
    }
    stage.posts_so_far("of-a-sender-with-a-token").await;
}
