//! HTTP server with a connection limit and a stop in two steps.

use std::{
    future::{Future, pending},
    io,
    time::Duration,
};

use axum::Router;
use tokio::{net::TcpListener, sync::watch, time::sleep};

use super::{
    connection::{self, Client},
    connections::{Connections, Limits},
    served::Served,
};
use crate::shutdown::Shutdown;

/// Limits of every server.
const LIMITS: Limits = Limits {
    total: 2_048,
    reserve: 64,
    per_peer: 1_024,
};
/// Pause after a failed accept, most likely for lack of file descriptors, until some
/// are released.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Idle connections that are closed after a failed accept.
const CLOSED_FOR_LACK: usize = 16;
/// Interval of the check for idle connections while all are busy.
const CROWDED_CHECK: Duration = Duration::from_millis(100);

/// Serves until the soft stop, finishes the requests in flight, and aborts the
/// remaining ones at the hard stop. Logs the bound address.
///
/// # Errors
/// When the listener has no local address.
pub async fn serve(
    listener: TcpListener,
    served: impl Into<Served>,
    shutdown: Shutdown,
) -> io::Result<()> {
    serve_until(listener, served, shutdown.soft(), shutdown.hard()).await
}

/// As [`serve`], with the two steps as separate futures: a program that drains after
/// the soft stop still serves its metrics and readiness meanwhile.
///
/// # Errors
/// When the listener has no local address.
pub async fn serve_until(
    listener: TcpListener,
    served: impl Into<Served>,
    stop: impl Future<Output = ()> + Send + 'static,
    cut_off: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let served = served.into();
    tracing::info!("{} on http://{}", served.title, listener.local_addr()?);
    tokio::select! {
        () = accept_until(listener, served, stop) => {}
        // Drops the server with its tasks, and so aborts the requests in flight.
        () = cut_off => {}
    }
    Ok(())
}

/// Serves until it is dropped. Logs the bound address as that of the metrics.
///
/// # Errors
/// When the listener has no local address.
pub async fn serve_metrics(listener: TcpListener, router: Router) -> io::Result<()> {
    tracing::info!("metrics on http://{}", listener.local_addr()?);
    accept_until(listener, router.into(), pending()).await;
    Ok(())
}

async fn accept_until(listener: TcpListener, served: Served, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let (running, stopped) = watch::channel(());
    let mut connections = Connections::new(LIMITS);
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.has_room() => match accepted {
                Ok((stream, peer)) => connections.add(peer.ip(), |activity| {
                    let client = Client { stream, peer, activity };
                    connection::serve_connection(client, served.clone(), stopped.clone())
                }),
                Err(error) => pause_after(&error, &mut connections).await,
            },
            Some(()) = connections.ended() => {}
            () = sleep(CROWDED_CHECK), if connections.is_crowded() => connections.make_room(),
            () = &mut stop => break,
        }
    }
    drop((listener, running));
    while connections.ended().await.is_some() {}
}

/// Waits after a failed accept, and closes some idle connections.
async fn pause_after(error: &io::Error, connections: &mut Connections) {
    // The client closed before the connection was accepted.
    if error.kind() == io::ErrorKind::ConnectionAborted {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection; idle ones are closed");
    for _ in 0..CLOSED_FOR_LACK {
        connections.shed();
    }
    sleep(ACCEPT_PAUSE).await;
}
