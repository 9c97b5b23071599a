//! Several hosts in `AMQP_URL`, one of which is dead or dies.

use tokio::net::TcpListener;
use wahook_tests::eventually::{AT_LAST, eventually};
use wahook_tests::pair::{Pair, Place};
use wahook_tests::ports::port_of;
use wahook_tests::program::{Command, Program, ProgramName};
use wahook_tests::receiver::Receiver;
use wahook_tests::tcp_proxy::{Network, TcpProxy};

use crate::outage::event;
use crate::world::{Test, Tests};

pub(crate) fn add(tests: &mut Tests) {
    tests.add("a_dead_host_of_the_broker_is_passed_over", dead_host);
    tests.add("each_dead_host_of_the_broker_is_named", all_hosts_dead);
    tests.add("connections_move_to_another_host_of_the_broker", moved);
    tests.add("a_malformed_list_of_hosts_is_explained", malformed);
}

/// Returns the place with these ports in place of the broker's own.
fn at_ports(place: &Place, ports: &[u16]) -> Place {
    let port = port_of(&place.amqp_url);
    let hosts: Vec<_> = ports
        .iter()
        .map(|port| format!("127.0.0.1:{port}"))
        .collect();
    let mut place = place.clone();
    let own = format!("127.0.0.1:{port}");
    place.amqp_url = place.amqp_url.replace(&own, &hosts.join(","));
    place
}

/// Returns a port on which nothing listens.
async fn dead_port() -> u16 {
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap();
    unused.local_addr().unwrap().port()
}

async fn all_hosts_dead(test: Test) {
    let ports = [dead_port().await, dead_port().await];
    let place = at_ports(&test.place(), &ports);
    let settings = [("AMQP_URL", place.amqp_url.as_str())];
    let list = Command::start(ProgramName::Consumer, &["dead", "list"], &settings);
    let listed = list.await.finish().await;
    assert_eq!(listed.status.code(), Some(1));
    for part in ports.map(|port| format!("127.0.0.1:{port}: ")) {
        assert!(listed.stderr.contains(&part), "{}", listed.stderr);
    }
}

/// Asserts that all programs work with a dead host, in either place of the list.
async fn dead_host(test: Test) {
    let place = test.place();
    let dead = dead_port().await;
    let port = port_of(&place.amqp_url);
    for ports in [[dead, port], [port, dead]] {
        let place = at_ports(&place, &ports);
        let pair = Pair::start(place.clone(), Receiver::start().await, &[]).await;
        pair.post(&event(1)).await.accepted_id();
        pair.receiver.wait_for(1, AT_LAST).await;
        let connected = format!("host=\"127.0.0.1:{port}\"");
        for program in [&pair.producer, &pair.take_consumer()] {
            let stderr = program.wait_logged(&connected).await;
            assert!(!stderr.contains("guest:guest"), "{stderr}");
        }
        let settings = [("AMQP_URL", place.amqp_url.as_str())];
        for _ in 0..4 {
            let list = Command::start(ProgramName::Consumer, &["dead", "list"], &settings);
            let listed = list.await.finish().await;
            assert!(listed.status.success(), "{}", listed.stderr);
        }
    }
}

/// Cuts the host that producer and consumer are connected to, several times.
async fn moved(test: Test) {
    let place = test.place();
    let port = port_of(&place.amqp_url);
    let networks = [TcpProxy::to(port).await, TcpProxy::to(port).await];
    let place = at_ports(&place, &[networks[0].port(), networks[1].port()]);
    let pair = Pair::start(place, Receiver::start().await, &[]).await;
    for (number, network) in (0..).zip(networks.iter().cycle().take(4)) {
        let other = &networks[(number + 1) % 2];
        network.set(Network::Cut);
        connected_to(&pair.producer, other.port()).await;
        let consumer = pair.take_consumer();
        connected_to(&consumer, other.port()).await;
        pair.consumers.lock().unwrap().push(consumer);
        let before = pair.receiver.count();
        eventually(AT_LAST, "an accepted event", || async {
            let answer = pair.post(&event(u32::try_from(number).unwrap())).await;
            (answer.status == 202).then_some(())
        })
        .await;
        pair.receiver.wait_for(before + 1, AT_LAST).await;
        network.set(Network::Works);
    }
}

/// Waits until the program's last connection is to this port.
async fn connected_to(program: &Program, port: u16) {
    let host = format!("host=\"127.0.0.1:{port}\"");
    eventually(AT_LAST, "a connection to the other host", || async {
        let stderr = program.stderr_so_far();
        let last = stderr.lines().rfind(|line| line.contains(" connected "))?;
        last.contains(&host).then_some(())
    })
    .await;
}

async fn malformed(_: Test) {
    for (url, shown) in [
        (
            "amqp://u:hunter2@a:5672,,b/%2f",
            "is \"amqp://[redacted]@a:5672,,b/%2f\", but must be the broker's address (host 2: it is empty)",
        ),
        (
            "amqp://u:hunter2@a/%2f,amqp://u:hunter2@b/x",
            "the addresses have different virtual hosts",
        ),
    ] {
        let program = Program::launch(ProgramName::Producer, &[("AMQP_URL", url)]).await;
        let status = program.wait_exit(AT_LAST).await;
        assert_eq!(status.code(), Some(2));
        let stderr = program.stderr_so_far();
        assert!(stderr.contains(shown), "{stderr}");
        assert!(!stderr.contains("hunter2"), "{stderr}");
    }
}
