//! Test receiver with a web page. The page shows the latest requests, and whether their
//! signatures verify or why not.
//!
//! ```no_run
//! # async fn example(shutdown: wahook_runtime::Shutdown) -> anyhow::Result<()> {
//! use wahook_receiver::{Keys, Receiver};
//!
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
//! let keys = Keys::new("the sender's secret".to_owned())?;
//! Receiver::new(Some(keys)).serve(listener, shutdown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `GET /` is the page, and `/_receiver` has its files and API (see [`http_api`]). Every
//! other path, with any method, is a webhook. The latest [`MAX_REQUESTS`] requests are kept
//! in memory, [`MAX_BYTES`] at most.

mod answer;
mod curl;
mod feed;
mod history;
pub mod http_api;
mod page;
mod request;
mod search;
mod settings;
mod shape;
mod state;
pub mod verify;
mod webhook;

use std::{io, sync::Arc};

use tokio::net::TcpListener;
use wahook_runtime::{Shutdown, ops};

pub use answer::Answer;
pub use history::{MAX_BYTES, MAX_REQUESTS};
pub use request::{Claims, Cut, Request};
pub use settings::{PROGRAM_SETTINGS, RECEIVER_ADDRESS, ReceiverSettings, SETTINGS};
pub use state::Seen;
use state::{Listener, State};
pub use verify::Keys;

/// Test receiver that does not listen yet.
#[derive(Default)]
pub struct Receiver {
    keys: Option<Keys>,
    listener: Option<Listener>,
}

impl Receiver {
    /// Creates a receiver that verifies with these keys. Without keys it only detects
    /// missing and malformed headers.
    #[must_use]
    pub fn new(keys: Option<Keys>) -> Self {
        Self {
            keys,
            listener: None,
        }
    }

    /// Sets a callback for every request, called after it is recorded and before it is
    /// answered.
    #[must_use]
    pub fn with_listener(mut self, listener: impl Fn(&Seen<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Serves the page and the webhooks until `shutdown`, which ends the page's streams and
    /// delayed answers at once.
    ///
    /// # Errors
    /// If the listener no longer has an address.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
        let state = Arc::new(State::new(self.keys, self.listener));
        let router = http_api::router(state, shutdown.clone());
        ops::serve(listener, router, shutdown).await
    }
}

/// Runs the program: listens on the configured address until `shutdown`.
///
/// # Errors
/// If the address can't be bound.
pub async fn run(settings: ReceiverSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = settings.address.bind().await?;
    if !settings.address.is_loopback() {
        tracing::warn!(
            address = %settings.address,
            "every client that reaches this address can see all deliveries and change the answers"
        );
    }
    if settings.keys.is_none() {
        tracing::info!("WEBHOOK_SECRET is not set: signatures are not checked");
    }
    Receiver::new(settings.keys)
        .serve(listener, shutdown)
        .await?;
    Ok(())
}
