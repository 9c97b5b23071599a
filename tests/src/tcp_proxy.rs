//! TCP proxy between a program and its server, to simulate network faults.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::or_fail;
use crate::ports::port_of;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Forwards every byte at once.
    Works,
    /// Forwards every piece after this delay.
    Slow(Duration),
    /// Forwards nothing; connections stay open.
    Silent,
    /// Closes all connections in order and refuses new ones.
    Cut,
    /// Resets all connections and refuses new ones.
    Reset,
    /// Resets all connections to the server and refuses new ones. Those to the client stay open,
    /// and forward nothing.
    ServerReset,
}

/// Running proxy; stops on drop.
#[derive(Debug)]
pub struct TcpProxy {
    port: u16,
    network: watch::Sender<Network>,
    task: JoinHandle<()>,
}

impl TcpProxy {
    /// Starts a proxy to a local port.
    pub async fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = or_fail("a proxy", listener.map_err(Into::into));
        let address = or_fail("a proxy", listener.local_addr().map_err(Into::into));
        let (network, seen) = watch::channel(Network::Works);
        let target = (Ipv4Addr::LOCALHOST, port).into();
        Self {
            port: address.port(),
            network,
            task: tokio::spawn(serve(listener, target, seen)),
        }
    }

    /// Starts a proxy to the local server of this address. Returns it with the address that leads
    /// through it.
    pub async fn to_server_of(url: &str) -> (Self, String) {
        let port = port_of(url);
        let proxy = Self::to(port).await;
        let through = url.replace(&format!(":{port}"), &format!(":{}", proxy.port));
        (proxy, through)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }
}

impl Drop for TcpProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, target: SocketAddr, network: watch::Receiver<Network>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(connect(client, target, network.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Forwards in both directions until either side ends or the network is down.
async fn connect(mut client: TcpStream, target: SocketAddr, mut network: watch::Receiver<Network>) {
    if is_down(*network.borrow()) {
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let _latency_only = (client.set_nodelay(true), server.set_nodelay(true));
    let down = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            () = forward(from_client, to_server, network.clone()) => return,
            () = forward(from_server, to_client, network.clone()) => return,
            down = down(network.clone()) => down,
        }
    };
    // With zero linger, dropping a socket resets the connection.
    match down {
        Some(Network::Reset) => {
            let _gone_already = (client.set_zero_linger(), server.set_zero_linger());
        }
        Some(Network::ServerReset) => {
            let _gone_already = server.set_zero_linger();
            drop(server);
            let _proxy_gone = network.wait_for(|network| !is_down(*network)).await;
        }
        _ => {}
    }
}

async fn forward(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut network: watch::Receiver<Network>,
) {
    let mut piece = vec![0; 16 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let heard = network
            .wait_for(|network| *network != Network::Silent)
            .await;
        let delay = match heard.map(|network| *network) {
            Ok(Network::Slow(delay)) => delay,
            Ok(_) => Duration::ZERO,
            Err(_) => return,
        };
        sleep(delay).await;
        let written = to.write_all(piece.get(..length).unwrap_or_default());
        if written.await.is_err() {
            return;
        }
    }
}

/// Waits until the network is down and returns its state; `None` if the proxy has stopped.
async fn down(mut network: watch::Receiver<Network>) -> Option<Network> {
    let down = network.wait_for(|network| is_down(*network)).await;
    down.ok().map(|network| *network)
}

fn is_down(network: Network) -> bool {
    matches!(
        network,
        Network::Cut | Network::Reset | Network::ServerReset
    )
}
