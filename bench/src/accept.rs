//! Path of one event through the producer, from the request to the answer.
//!
//! Runs the producer's own router: token, headers, body, canonical form, id, duplicates,
//! publish, metrics and answer. The queue below encodes each message as AMQP and confirms it
//! at once. Excluded: HTTP over sockets, lapin's frames and thread, the broker.

use std::{hint::black_box, sync::Arc, time::Duration};

use anyhow::ensure;
use axum::Router;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode, header, service::Service as _};
use hyper_util::service::TowerToHyperService;
use prometheus::Registry;
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};
use wahook_domain::Validation;
use wahook_producer::{EventServiceSettings, SourceSettings, Tokens, metrics::ProducerMetrics};
use wahook_queue::{
    Broker, LinkState, LocalQueue, PublishError, Publisher, Topology, local::Command,
};
use wahook_runtime::{ListenAddress, guard::AllowedHosts};

use crate::wire::Carried;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const BEARER: &str = "Bearer 0123456789abcdef0123456789abcdef";
/// Default limits of the producer, in bytes.
const MAX_BODY_BYTES: usize = 15 << 20;
const MEMORY_BUDGET_BYTES: usize = 256 << 20;
/// Confirm timeout of the producer; never reached here.
const CONFIRM_LIMIT: Duration = Duration::from_secs(5);

/// Producer without sockets.
pub struct Acceptance {
    service: TowerToHyperService<Router>,
    runtime: Runtime,
}

impl Acceptance {
    /// Builds a producer that runs on the calling thread.
    ///
    /// # Errors
    /// If the runtime cannot be built.
    pub fn new() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let broker = Broker::Local(Arc::new(Confirming(watch::Sender::default())));
        let (publisher, _) = Publisher::start(broker, "bench", Topology::events(), CONFIRM_LIMIT);
        let settings = EventServiceSettings {
            listen: ListenAddress::loopback(0),
            metrics_listen: None,
            tokens: Tokens::parse(TOKEN)?,
            allowed_hosts: AllowedHosts::default(),
            max_body_bytes: MAX_BODY_BYTES,
            memory_budget_bytes: MEMORY_BUDGET_BYTES,
            validation: Validation::Lenient,
            keep_exact: false,
            duplicate_window: Duration::from_secs(600),
            sources: SourceSettings::default(),
        };
        let metrics = ProducerMetrics::new(&Registry::new())?;
        let router = wahook_producer::router(settings, publisher, metrics);
        Ok(Self {
            service: TowerToHyperService::new(router),
            runtime,
        })
    }

    /// Sends one new event and returns the body of the answer.
    ///
    /// # Errors
    /// If the answer is not 202.
    pub fn take(&self, event: Bytes) -> anyhow::Result<Bytes> {
        let request = Request::post("/v1/events")
            .header(header::HOST, "127.0.0.1:8080")
            .header(header::AUTHORIZATION, BEARER)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::CONTENT_LENGTH, event.len())
            .body(Full::new(event))?;
        self.runtime.block_on(async {
            let answer = self.service.call(request).await?;
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            ensure!(
                status == StatusCode::ACCEPTED,
                "answered {status}: {body:?}"
            );
            Ok(body)
        })
    }
}

/// Queue that encodes each message as AMQP and confirms it at once.
struct Confirming(watch::Sender<LinkState>);

impl LocalQueue for Confirming {
    fn submit(&self, command: Command) {
        // A producer sends only publishes and declarations.
        if let Command::Publish(message, done) = command {
            let carried = black_box(Carried::write(*message));
            let answer = carried.map(drop).map_err(|_| PublishError::Refused);
            // The caller may be gone.
            let _ = done.send(answer);
        }
    }

    fn link(&self) -> watch::Receiver<LinkState> {
        self.0.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixed;

    #[test]
    fn an_event_is_taken_once() {
        let acceptance = Acceptance::new().unwrap();
        let event = Bytes::from(fixed::event(1, fixed::USUAL));
        let id = fixed::queued(&fixed::event(1, fixed::USUAL)).unwrap().id;
        let answer = acceptance.take(event.clone()).unwrap();
        let expected = format!(r#""id":"{id}""#);
        assert!(String::from_utf8_lossy(&answer).contains(&expected));
        let again = acceptance.take(event).unwrap_err().to_string();
        assert!(again.starts_with("answered 200"), "{again}");
    }
}
