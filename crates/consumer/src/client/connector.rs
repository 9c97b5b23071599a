//! New connections: reqwest resolves the name, connects, negotiates TLS and passes proxies.
//!
//! reqwest would also send the request, but hides whether its connection was used before and
//! whether an answer has begun. So a layer of its connector hands the connection over to
//! [`Connector::connect`], and reports an error to reqwest (decision 44).

use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::Connection;
use reqwest::{Client, ClientBuilder, Url};
use std::{
    cell::Cell,
    error::Error,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Open connection: bytes in both directions, after TLS and a proxy's tunnel.
pub(super) trait Stream: Read + Write + Connection + Send + Unpin {}

impl<T: Read + Write + Connection + Send + Unpin> Stream for T {}

tokio::task_local! {
    /// Connection that the layer took from reqwest during the current call of `connect`.
    static HANDED_OVER: Cell<Option<Box<dyn Stream>>>;
}

/// Opens connections to one host.
pub(super) struct Connector {
    http: Client,
    url: Url,
}

impl Connector {
    /// Creates a connector to the host of `url`, with the settings of `builder`.
    ///
    /// # Errors
    /// Fails if the settings are invalid.
    pub(super) fn new(builder: ClientBuilder, url: Url) -> reqwest::Result<Self> {
        let http = builder
            // reqwest keeps no connection and starts none in the background.
            .pool_max_idle_per_host(0)
            .connector_layer(HandOver)
            .build()?;
        Ok(Self { http, url })
    }

    /// Returns the URL of the webhook.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Opens a connection to the server of a URL of the same host.
    ///
    /// # Errors
    /// Returns reqwest's error if there is no connection.
    pub(super) async fn connect(&self, url: &Url) -> Result<Box<dyn Stream>, BoxError> {
        let connecting = async {
            let result = self.http.get(url.clone()).send().await;
            match (HANDED_OVER.with(Cell::take), result) {
                (Some(stream), _) => Ok(stream),
                (None, Err(error)) => Err(error.into()),
                (None, Ok(_)) => Err(NotHandedOver.into()),
            }
        };
        HANDED_OVER.scope(Cell::new(None), connecting).await
    }
}

/// Error that ends reqwest's part after the connection was handed over.
#[derive(Debug, thiserror::Error)]
#[error("the connection was handed over")]
struct HandedOver;

/// Defect: reqwest used a connection itself.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client opened no connection")]
struct NotHandedOver;

/// Layer of reqwest's connector.
#[derive(Clone)]
struct HandOver;

impl<S> Layer<S> for HandOver {
    type Service = HandingOver<S>;

    fn layer(&self, connector: S) -> Self::Service {
        HandingOver(connector)
    }
}

#[derive(Clone)]
struct HandingOver<S>(S);

impl<S, Target> Service<Target> for HandingOver<S>
where
    S: Service<Target, Error = BoxError>,
    S::Response: Stream + 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, target: Target) -> Self::Future {
        let connecting = self.0.call(target);
        Box::pin(async move {
            let stream = connecting.await?;
            HANDED_OVER.try_with(|slot| slot.set(Some(Box::new(stream))))?;
            Err(HandedOver.into())
        })
    }
}
