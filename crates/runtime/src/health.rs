//! Command `health`: checks a program that runs on the same machine or in the same
//! container. For container health checks, where the image has neither a shell nor an
//! HTTP client.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::HOST,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

use crate::{ListenAddress, ops::ReadinessReport};

/// Time limit for the response. Below that of usual health checks, so that the reason
/// is printed before this command is killed.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Read limit for the response, above the size of every report.
const MAX_RESPONSE_BYTES: usize = 64 << 10;

/// Property to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthCheck {
    /// The program runs. Independent of everything else, so that an unreachable broker
    /// does not cause a restart.
    Alive,
    /// The program can do its work now. For programs that wait for it or send to it.
    Ready,
}

/// Reason why a program is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// Port 0 means a free port chosen at the start.
    #[error("{0} has no fixed port: set the port on which the program listens")]
    NoPort(ListenAddress),
    /// Nothing listens on the address.
    #[error("http://{0} can't be reached: {1}")]
    Unreachable(SocketAddr, std::io::Error),
    /// The connection is accepted, but no response arrives.
    #[error("http://{0}{path} did not answer within {RESPONSE_TIMEOUT:?}", path = .1.path())]
    NoResponse(SocketAddr, HealthCheck),
    /// The response is not HTTP.
    #[error("http://{0} does not answer in HTTP: {1}")]
    NotHttp(SocketAddr, String),
    /// The program reports that it is not ready.
    #[error("{}", .0)]
    NotReady(String),
}

impl HealthCheck {
    /// Returns the path of the check.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Alive => "/livez",
            Self::Ready => "/readyz",
        }
    }
}

/// Runs the command `health`; prints nothing on success.
///
/// # Errors
/// As [`check`].
pub async fn answer(listen: ListenAddress, ready: bool) -> anyhow::Result<()> {
    let health = if ready {
        HealthCheck::Ready
    } else {
        HealthCheck::Alive
    };
    Ok(check(listen, health).await?)
}

/// Checks the program that listens on `listen`, on the same machine or container.
///
/// # Errors
/// When the check fails, with the reason.
pub async fn check(listen: ListenAddress, health: HealthCheck) -> Result<(), Unhealthy> {
    let address = reachable(listen).ok_or(Unhealthy::NoPort(listen))?;
    timeout(RESPONSE_TIMEOUT, exchange(address, health))
        .await
        .unwrap_or(Err(Unhealthy::NoResponse(address, health)))
}

/// Returns the address to connect to: loopback for "every interface", `None` for port 0.
fn reachable(listen: ListenAddress) -> Option<SocketAddr> {
    let mut address = listen.socket();
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    (address.port() != 0).then_some(address)
}

async fn exchange(address: SocketAddr, health: HealthCheck) -> Result<(), Unhealthy> {
    let not_http = |error: hyper::Error| Unhealthy::NotHttp(address, error.to_string());
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| Unhealthy::Unreachable(address, error))?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(not_http)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(health.path())
        .header(HOST, address.to_string())
        .body(Empty::new())
        .map_err(|error| Unhealthy::NotHttp(address, error.to_string()))?;
    let response = sender.send_request(request).await.map_err(not_http)?;
    let (head, body) = response.into_parts();
    let result = if head.status == StatusCode::OK {
        Ok(())
    } else {
        Err(Unhealthy::NotReady(reason(head.status, body).await))
    };
    connection.abort();
    result
}

/// Returns the failing checks, or the status if the response does not list them.
async fn reason(status: StatusCode, body: Incoming) -> String {
    let read = Limited::new(body, MAX_RESPONSE_BYTES).collect().await;
    let bytes = read.map(http_body_util::Collected::to_bytes);
    let report: Option<ReadinessReport> = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(report) = report else {
        return format!("unexpected status {status}");
    };
    let failing = report.checks.into_iter().filter(|(_, check)| !check.ok);
    let failing = failing.map(|(name, check)| format!("{name}: {}", check.detail));
    format!("not ready: {}", failing.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
