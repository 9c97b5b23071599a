//! Server of the operators' HTTP endpoints.

use anyhow::Context;
use prometheus::Registry;
use std::io;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use wahook_runtime::{Readiness, Shutdown, guard::Guard, ops};

/// Server of the operators' endpoints. Serves until the drain is complete, so that it can
/// be watched.
pub(crate) struct OperatorServer {
    served: JoinHandle<io::Result<()>>,
    stop: oneshot::Sender<()>,
}

impl OperatorServer {
    pub(crate) fn start(
        listener: TcpListener,
        guard: Guard,
        registry: Registry,
        readiness: Readiness,
        shutdown: &Shutdown,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let router = ops::refuse_the_rest(
            ops::guarded(ops::router(registry, readiness.clone()), guard),
            "available paths: /livez, /readyz and /metrics",
        );
        let soft = shutdown.soft();
        tokio::spawn(async move {
            soft.await;
            readiness.stopping();
        });
        let stopped = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(ops::serve_until(listener, router, stopped, shutdown.hard()));
        Self { served, stop }
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        let served = self.served.await.context("serving HTTP")?;
        served.context("serving HTTP")
    }
}
