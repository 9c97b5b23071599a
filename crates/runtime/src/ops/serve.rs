//! How long an HTTP server serves, and how many it serves at once.

use std::{future::Future, io, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

use super::conversation;
use crate::shutdown::Shutdown;

/// Connections that are open at once. Further ones wait in the system's
/// backlog; those that say nothing are closed soon (see [`conversation`]).
const MAX_CONNECTIONS: usize = 2048;
/// After the system refused a connection, most likely for want of file
/// descriptors: enough for some to be given back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

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
    tokio::select! {
        () = converse_until(listener, router, stop) => {}
        // Dropped with its tasks: whatever is still under way ends here.
        () = cut_off => {}
    }
    Ok(())
}

async fn converse_until(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    let (running, stopped) = watch::channel(());
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            stream = accept(&listener), if conversations.len() < MAX_CONNECTIONS => {
                let (router, stopped) = (router.clone(), stopped.clone());
                conversations.spawn(conversation::hold(stream, router, stopped));
            }
            Some(_) = conversations.join_next() => {}
            () = &mut stop => break,
        }
    }
    drop((listener, running));
    while conversations.join_next().await.is_some() {}
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            // The client was gone before it was its turn.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
