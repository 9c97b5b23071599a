//! Program `wahook-console`: the console on RabbitMQ and MongoDB.

use std::sync::Arc;

use wahook_mongo_log::LogSettings;
use wahook_queue::BrokerUri;
use wahook_runtime::{
    Setting, Settings, Shutdown, program,
    settings::shared::{AMQP_URL, MONGODB_DATABASE, MONGODB_URI},
};

use crate::{Backends, Console, ConsoleSettings, SETTINGS};

/// Settings of `wahook-console`.
pub const PROGRAM_SETTINGS: &[&[Setting]] = &[
    &[AMQP_URL, MONGODB_URI, MONGODB_DATABASE],
    SETTINGS,
    program::SETTINGS,
];

/// Settings of `wahook-console`.
#[derive(Debug)]
pub struct DistributedSettings {
    /// `AMQP_URL`
    pub broker: BrokerUri,
    /// `MONGODB_URI` and `MONGODB_DATABASE`
    pub log: LogSettings,
    /// Settings that do not depend on queue and log.
    pub console: ConsoleSettings,
}

impl DistributedSettings {
    /// Reads all settings. Returns `None` only after a fault.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let broker = settings.value(&AMQP_URL);
        let log = LogSettings::read(settings);
        let console = ConsoleSettings::read(settings);
        Some(Self {
            broker: broker?,
            log: log?,
            console: console?,
        })
    }
}

/// Runs the console until `shutdown`.
///
/// # Errors
/// If the address can't be bound, or the settings of the log can't be used.
pub async fn run(settings: DistributedSettings, shutdown: Shutdown) -> anyhow::Result<()> {
    let log = Arc::new(settings.log.connect().await?);
    let backends = Backends {
        search: log.clone(),
        reader: log.clone(),
        eraser: log.clone(),
        operator: log.clone(),
        circuits: log.clone(),
        jobs: log,
        broker: settings.broker.into(),
        stored: None,
    };
    let console = Console::bind(settings.console, backends, shutdown).await?;
    console.serve().await
}
