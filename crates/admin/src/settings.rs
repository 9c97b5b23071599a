//! Settings of the commands: addresses of the broker and the delivery log.

use wahook_delivery_log::MongoLog;
use wahook_queue::BrokerUri;
use wahook_runtime::Settings;

const DATABASE: &str = "MONGODB_DATABASE";
const DEFAULT_DATABASE: &str = "whatsapp-api";
const EXAMPLE_URI: &str = "mongodb://127.0.0.1:27017/?replicaSet=rs0";

/// Server and database of the delivery log.
#[derive(Debug)]
pub(crate) struct LogSettings {
    /// `MONGODB_URI`
    pub(crate) uri: String,
    /// `MONGODB_DATABASE`
    pub(crate) database: String,
}

impl LogSettings {
    /// Reads and validates both; faults are collected in `settings`.
    pub(crate) fn read(settings: &mut Settings) -> Self {
        let uri = settings.required("MONGODB_URI", EXAMPLE_URI);
        let default = DEFAULT_DATABASE.to_owned();
        let database = settings.parsed(DATABASE, default, "a database name", DEFAULT_DATABASE);
        if !uri.is_empty()
            && let Err(error) = MongoLog::check(&uri, &database)
        {
            let name = if error.is_database() {
                DATABASE
            } else {
                "MONGODB_URI"
            };
            settings.fault(name, error.to_string(), EXAMPLE_URI);
        }
        Self { uri, database }
    }
}

/// Reads `AMQP_URL`; a fault is collected in `settings`.
pub(crate) fn read_broker(settings: &mut Settings) -> Option<BrokerUri> {
    settings.required_parsed("AMQP_URL", "the broker's address", BrokerUri::EXAMPLE)
}
