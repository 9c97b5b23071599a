//! How long an HTTP server serves.

use std::{future::Future, io};

use axum::Router;
use tokio::net::TcpListener;

use crate::shutdown::Shutdown;

/// Serves until the soft stop, lets the requests under way finish, and cuts
/// off at the hard stop what still runs. Logs the bound address.
///
/// # Errors
/// When the listener has no address any more.
pub async fn serve(listener: TcpListener, router: Router, shutdown: Shutdown) -> io::Result<()> {
    serve_until(listener, router, shutdown.soft(), shutdown.hard()).await
}

/// As [`serve`], with the two steps given apart: a program that drains its
/// work after the soft stop wants its metrics and readiness to be seen
/// meanwhile, and so stops serving them later.
///
/// # Errors
/// When the listener has no address any more.
pub async fn serve_until(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    cut_off: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    tracing::info!("listening on http://{}", listener.local_addr()?);
    let served = axum::serve(listener, router).with_graceful_shutdown(stop);
    tokio::select! {
        ended = async { served.await } => ended,
        () = cut_off => Ok(()),
    }
}
