//! Paths for operators, next to those for gateways or on an address of their own.

use std::{future::pending, io};

use anyhow::Context;
use axum::{Router, routing::get};
use prometheus::Registry;
use tokio::net::TcpListener;
use wahook_runtime::{Readiness, ops};

use crate::{EventServiceSettings, guard, openapi};

/// Routes for operators.
pub(crate) struct Operators {
    /// Routes on the address for events.
    pub(crate) public: Router,
    /// Separate listener, with its routes.
    metrics: Option<(TcpListener, Router)>,
}

impl Operators {
    /// Opens the separate listener, if it is configured.
    pub(crate) async fn bind(
        settings: &EventServiceSettings,
        registry: Registry,
        readiness: Readiness,
    ) -> anyhow::Result<Self> {
        let all = ops::router(registry, readiness.clone());
        let (paths, metrics) = match settings.metrics_listen {
            None => (all, None),
            Some(address) => {
                let listener = address.bind().await.context("PRODUCER_METRICS_LISTEN")?;
                let hint = "available paths: /livez, /readyz and /metrics";
                let router = ops::guarded(all, guard(address, settings.allowed_hosts.clone()));
                let router = ops::refuse_the_rest(router, hint);
                (ops::health_router(readiness), Some((listener, router)))
            }
        };
        let paths = paths.route(openapi::PATH, get(openapi::get));
        Ok(Self {
            public: ops::guarded(
                paths,
                guard(settings.listen, settings.allowed_hosts.clone()),
            ),
            metrics,
        })
    }

    /// Serves the separate listener until it is dropped; pends without one.
    pub(crate) async fn serve_metrics(self) -> io::Result<()> {
        match self.metrics {
            Some((listener, router)) => ops::serve_metrics(listener, router).await,
            None => pending().await,
        }
    }
}
