//! Unreachable and blocked addresses.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use wahook_tests::eventually::AT_LAST;
use wahook_tests::ports::free_port;
use wahook_tests::program::{Program, ProgramName};
use wahook_tests::raw_receiver::RawReceiver;
use wahook_tests::receiver::Receiver;
use wahook_tests::world::{Test, Tests};

use crate::ending::{Ending, assert_counts, assert_ends, pair_to};
use crate::rows::{FINE, fine};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_connect_that_never_completes_times_out", full_backlog);
    tests.add("a_refused_port_is_recorded_as_connection_refused", refused);
    tests.add("an_unknown_host_is_recorded_as_dns", unknown_host);
    tests.add("an_unreachable_network_is_recorded_as_connect", unreachable);
    tests.add(
        "a_name_of_a_private_address_is_blocked_if_set",
        blocked_name,
    );
    tests.add(
        "a_private_address_is_rejected_at_start_if_set",
        blocked_literal,
    );
}

/// The listener accepts no connection, and its backlog in the kernel is full.
async fn full_backlog(test: Test) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
        assert!(waiting.len() < 100, "the backlog is never full");
    }
    let pair = pair_to(&test, &format!("http://{address}/webhook"), &[]).await;
    assert_ends(&pair, "test", &Ending::timed_out()).await;
    drop(waiting);
    let _receiver = RawReceiver::on(listener, |_| fine());
    assert_ends(&pair, FINE, &Ending::delivered(200)).await;
    assert_counts(&pair, &[("timeout", 1), ("delivered", 1)]).await;
}

async fn refused(test: Test) {
    let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
    let pair = pair_to(&test, &format!("http://{address}/webhook"), &[]).await;
    let refused = Ending::failed("connection_refused", "connection refused");
    assert_ends(&pair, "test", &refused).await;
    let _receiver = Receiver::start_on(address).await;
    assert_ends(&pair, FINE, &Ending::delivered(200)).await;
    assert_counts(&pair, &[("connection_refused", 1), ("delivered", 1)]).await;
}

async fn unknown_host(test: Test) {
    let pair = pair_to(&test, "https://no-such-host.invalid/webhook", &[]).await;
    let unknown = Ending::failed("dns", "host not found: no-such-host.invalid (…");
    assert_ends(&pair, "test", &unknown).await;
    assert_counts(&pair, &[("dns", 1)]).await;
}

/// Connections to the broadcast address fail in every network.
async fn unreachable(test: Test) {
    let pair = pair_to(&test, "https://255.255.255.255/webhook", &[]).await;
    let unreachable = Ending::failed("connect", "no connection: Network is unreachable");
    assert_ends(&pair, "test", &unreachable).await;
    assert_counts(&pair, &[("connect", 1)]).await;
}

async fn blocked_name(test: Test) {
    let receiver = RawReceiver::answering(|_| fine()).await;
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let pair = pair_to(&test, &url, &[("WEBHOOK_BLOCK_PRIVATE", "true")]).await;
    let blocked = Ending::failed("blocked", "address not allowed: localhost is …");
    assert_ends(&pair, FINE, &blocked).await;
    assert_eq!(receiver.requests(FINE), 0);
    assert_counts(&pair, &[("blocked", 1)]).await;
    let pair = pair_to(&test, &url, &[]).await;
    assert_ends(&pair, FINE, &Ending::delivered(200)).await;
}

async fn blocked_literal(test: Test) {
    let place = test.place();
    let settings = [
        ("AMQP_URL", place.amqp_url.as_str()),
        ("MONGODB_URI", place.mongodb_uri.as_str()),
        ("WEBHOOK_URL", "http://2130706433/webhook"),
        ("WEBHOOK_BLOCK_PRIVATE", "true"),
    ];
    let consumer = Program::launch(ProgramName::Consumer, &settings).await;
    let status = consumer.wait_exit(AT_LAST).await;
    assert_eq!(status.code(), Some(2));
    let stderr = consumer.stderr_so_far();
    assert!(
        stderr.contains("127.0.0.1 is not a public address"),
        "{stderr}"
    );
}
