//! Consumer on RabbitMQ and MongoDB.

use std::sync::Arc;
use wahook_mongo_log::LogSettings;
use wahook_queue::BrokerUri;
use wahook_runtime::{Settings, settings::shared::AMQP_URL};
use wahook_traces::TraceSettings;

use crate::{Backends, Consumer, DeliverySettings};

/// All settings of the consumer.
#[derive(Debug)]
pub struct ConsumerSettings {
    /// `AMQP_URL`
    pub broker: BrokerUri,
    /// `MONGODB_URI` and `MONGODB_DATABASE`
    pub log: LogSettings,
    /// Settings that do not depend on the broker and the log.
    pub delivery: DeliverySettings,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and its companions
    pub traces: TraceSettings,
}

impl ConsumerSettings {
    /// Reads all settings. Returns `None` after a fault; faults are collected in
    /// `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker = settings.value(&AMQP_URL);
        let delivery = DeliverySettings::read(settings);
        let log = LogSettings::read(settings);
        let traces = TraceSettings::read(settings);
        Some(Self {
            broker: broker?,
            log: log?,
            delivery: delivery?,
            traces,
        })
    }
}

/// Creates a consumer whose settings and log are these.
///
/// # Errors
/// Fails if the log's settings can't be used.
pub async fn connect(settings: ConsumerSettings) -> anyhow::Result<Consumer> {
    let log = settings.log.connect().await?;
    let log = Arc::new(log.redacting(settings.delivery.log_redact.clone()));
    let backends = Backends {
        history: Some(log.clone()),
        operator: log.clone(),
        circuits: log.clone(),
        log,
        broker: settings.broker.into(),
    };
    Consumer::new(backends, settings.delivery)
}
