//! HTTP server with a connection limit and a stop in two steps.

use std::{future::Future, io, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::connection;
use crate::shutdown::Shutdown;

/// Limit of open connections. Further ones wait in the system's backlog; idle ones are
/// closed soon (see [`connection`]).
const MAX_CONNECTIONS: usize = 2048;
/// Pause after a failed accept, most likely for lack of file descriptors, until some
/// are released.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until the soft stop, finishes the requests in flight, and aborts the
/// remaining ones at the hard stop. Logs the bound address.
///
/// # Errors
/// When the listener has no local address.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
    serve_until(listener, router, shutdown.soft(), shutdown.hard()).await
}

/// As [`serve`], with the two steps as separate futures: a program that drains after
/// the soft stop still serves its metrics and readiness meanwhile.
///
/// # Errors
/// When the listener has no local address.
pub async fn serve_until(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    cut_off: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    tracing::info!("listening on http://{}", listener.local_addr()?);
    tokio::select! {
        () = accept_until(listener, router, stop) => {}
        // Drops the server with its tasks, and so aborts the requests in flight.
        () = cut_off => {}
    }
    Ok(())
}

async fn accept_until(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let (running, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener), if connections.len() < MAX_CONNECTIONS => {
                let (router, stopped) = (router.clone(), stopped.clone());
                connections.spawn(connection::serve_connection(stream, router, stopped));
            }
            Some(_) = connections.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop((listener, running));
    while connections.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client closed before the connection was accepted.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
