//! A test receiver that a person can look at: every request to it is answered,
//! remembered for a while, and shown on a page, with whether its signatures
//! verify and why not.
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
//! `GET /` is the page, `/_receiver` is what it needs (see [`http_api`]); all
//! else is a webhook: any path, any method. The latest [`MAX_REQUESTS`]
//! requests are remembered, [`MAX_BYTES`] at most; none beyond the end of the
//! program.

mod answer;
mod curl;
mod feed;
mod guard;
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
pub use settings::ReceiverSettings;
pub use state::Seen;
use state::{Listener, State};
pub use verify::Keys;

/// A receiver that is yet to listen.
#[derive(Default)]
pub struct Receiver {
    keys: Option<Keys>,
    listener: Option<Listener>,
}

impl Receiver {
    /// Verifies with these keys; without any, it says what is missing only.
    #[must_use]
    pub fn new(keys: Option<Keys>) -> Self {
        Self {
            keys,
            listener: None,
        }
    }

    /// Calls `listener` with every request, once it is recorded and before it
    /// is answered.
    #[must_use]
    pub fn telling(mut self, listener: impl Fn(&Seen<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Box::new(listener));
        self
    }

    /// Serves the page and the webhooks until `shutdown`. A stop ends the
    /// page's streams and delayed answers at once.
    ///
    /// # Errors
    /// When the listener has no address any more.
    pub async fn serve(self, listener: TcpListener, shutdown: Shutdown) -> io::Result<()> {
        let state = Arc::new(State::new(self.keys, self.listener));
        let router = http_api::router(state, shutdown.clone());
        ops::serve(listener, router, shutdown).await
    }
}

/// The program: listens where the settings say, until `shutdown`.
///
/// # Errors
/// When the address can't be listened on.
pub async fn run(settings: ReceiverSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = settings.address.bind().await?;
    if !settings.address.is_loopback() {
        tracing::warn!(
            address = %settings.address,
            "whoever reaches this address sees all deliveries and can change the answers"
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
