//! Delivery log that the commands read.

use std::pin::Pin;
use wahook_delivery_log::LogReader;
#[cfg(feature = "mongodb")]
use wahook_mongo_log::LogSettings;
use wahook_runtime::{Settings, settings::shared::MONGODB_URI};

/// Future that opens a log.
pub type OpenLog = Pin<Box<dyn Future<Output = anyhow::Result<Box<dyn LogReader>>>>>;

/// Program that needs MongoDB, but was built without the feature `mongodb`.
#[derive(Debug, thiserror::Error)]
#[error(
    "this wahook was built without MongoDB support; build it with `make build`, or `cargo build --release --features mongodb`"
)]
pub struct NoMongoDb;

/// Selects MongoDB if `MONGODB_URI` is set, else the program's own log. Returns `None` only
/// after a fault.
pub(crate) fn read(
    settings: &mut Settings,
    own_log: fn(&mut Settings) -> Option<OpenLog>,
) -> Option<OpenLog> {
    if settings.is_given(&MONGODB_URI) {
        in_mongodb(settings)
    } else {
        own_log(settings)
    }
}

#[cfg(feature = "mongodb")]
fn in_mongodb(settings: &mut Settings) -> Option<OpenLog> {
    let log = LogSettings::read(settings)?;
    Some(Box::pin(async move {
        Ok(Box::new(log.open().await?) as Box<dyn LogReader>)
    }))
}

#[cfg(not(feature = "mongodb"))]
#[expect(clippy::unnecessary_wraps, reason = "as with MongoDB support")]
fn in_mongodb(_: &mut Settings) -> Option<OpenLog> {
    Some(Box::pin(async { Err(NoMongoDb.into()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable(_: &mut Settings) -> Option<OpenLog> {
        Some(Box::pin(async { anyhow::bail!("own log") }))
    }

    /// Returns the error of opening a log with these settings.
    async fn error(pairs: &[(&'static str, &'static str)]) -> String {
        let mut settings = Settings::from_pairs(pairs.iter().copied());
        let opened = read(&mut settings, unavailable).unwrap().await;
        opened
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[tokio::test]
    async fn mongodb_is_read_only_if_its_address_is_set() {
        assert_eq!(error(&[]).await, "own log");
        let refused = error(&[("MONGODB_URI", "mongodb://127.0.0.1:1")]).await;
        let is_unsupported = refused == NoMongoDb.to_string();
        assert_eq!(is_unsupported, cfg!(not(feature = "mongodb")), "{refused}");
        assert_ne!(refused, "own log");
    }

    #[test]
    fn message_names_a_build_with_mongodb() {
        assert!(NoMongoDb.to_string().contains("--features mongodb"));
    }
}
