//! What a program's own command `health` asks the one that runs beside it: for container health
//! checks, where the image has neither a shell nor a client of its own.

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

/// Below the time limit of every usual health check, so that the reason is told before the
/// asker is killed.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);
/// More than any answer of ours has.
const LARGEST_ANSWER: usize = 64 << 10;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Is it alive? Depends on nothing else, so that nobody restarts a program because its
    /// broker is away.
    Alive,
    /// Can it do its work right now? For those who wait for it or send to it.
    Ready,
}

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// The port is whichever was free at the start.
    #[error("{0} names no port to ask: set the one that the program listens on")]
    NoPort(ListenAddress),
    /// Nothing listens there.
    #[error("http://{0} can't be reached: {1}")]
    Unreachable(SocketAddr, std::io::Error),
    /// It listens and does not answer.
    #[error("http://{0}{path} did not answer within {ANSWER_LIMIT:?}", path = .1.path())]
    Silent(SocketAddr, Question),
    /// It answers, and not in HTTP.
    #[error("http://{0} is something else: {1}")]
    Foreign(SocketAddr, String),
    /// It says no.
    #[error("{}", .0)]
    Refused(String),
}

impl Question {
    /// The path that answers it.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Alive => "/livez",
            Self::Ready => "/readyz",
        }
    }
}

/// The whole of the command `health`: silent when the answer is yes.
///
/// # Errors
/// As [`ask`].
pub async fn answer(listen: ListenAddress, ready: bool) -> anyhow::Result<()> {
    let question = if ready {
        Question::Ready
    } else {
        Question::Alive
    };
    Ok(ask(listen, question).await?)
}

/// Asks the program that listens on `listen`, from the same machine or container.
///
/// # Errors
/// When the answer is anything but yes, with the reason in words for a person.
pub async fn ask(listen: ListenAddress, question: Question) -> Result<(), Unhealthy> {
    let address = reachable(listen).ok_or(Unhealthy::NoPort(listen))?;
    timeout(ANSWER_LIMIT, exchange(address, question))
        .await
        .unwrap_or(Err(Unhealthy::Silent(address, question)))
}

/// The address to connect to: "every interface" is none.
fn reachable(listen: ListenAddress) -> Option<SocketAddr> {
    let mut address = listen.socket();
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    (address.port() != 0).then_some(address)
}

async fn exchange(address: SocketAddr, question: Question) -> Result<(), Unhealthy> {
    let foreign = |error: hyper::Error| Unhealthy::Foreign(address, error.to_string());
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| Unhealthy::Unreachable(address, error))?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(foreign)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(question.path())
        .header(HOST, address.to_string())
        .body(Empty::new())
        .map_err(|error| Unhealthy::Foreign(address, error.to_string()))?;
    let answer = sender.send_request(request).await.map_err(foreign)?;
    let (head, body) = answer.into_parts();
    let verdict = if head.status == StatusCode::OK {
        Ok(())
    } else {
        Err(Unhealthy::Refused(reason(head.status, body).await))
    };
    connection.abort();
    verdict
}

/// The checks that fail, where the answer lists them.
async fn reason(status: StatusCode, body: Incoming) -> String {
    let read = Limited::new(body, LARGEST_ANSWER).collect().await;
    let bytes = read.map(http_body_util::Collected::to_bytes);
    let report: Option<ReadinessReport> = bytes
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(report) = report else {
        return format!("it answered {status}");
    };
    let failing = report.checks.into_iter().filter(|(_, check)| !check.ok);
    let failing = failing.map(|(name, check)| format!("{name}: {}", check.detail));
    format!("not ready: {}", failing.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests;
