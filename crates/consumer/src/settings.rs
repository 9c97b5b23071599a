//! Consumer settings, read and validated completely before any connection.

mod connection_settings;
mod declared;
mod endpoint;
mod file;
mod filters;
mod inner_tables;
mod log_settings;
pub(crate) mod login;
mod order;
mod proxy;
mod retries;
mod retry_settings;
mod secret_fields;
mod shown_url;
mod tls;
mod url;

use std::{fmt, str::FromStr, time::Duration};
use wahook_domain::{Reach, Redaction};
use wahook_runtime::{ListenAddress, Settings, guard::AllowedHosts};

use connection_settings::{
    WEBHOOK_ALLOW_HTTP, WEBHOOK_ALLOW_LINK_LOCAL, WEBHOOK_BLOCK_PRIVATE, WEBHOOK_CONNECTION_AGE,
};
pub(crate) use declared::CONSUMER_ALLOWED_HOSTS;
use declared::{CONSUMER_LISTEN, CONSUMER_MEMORY_BUDGET_BYTES, ONE_ENDPOINT, WEBHOOK_CIRCUIT};
pub use declared::{PROGRAM_SETTINGS, SETTINGS, WEBHOOK_ENDPOINTS, WEBHOOK_URL};
pub use endpoint::{EndpointSettings, Secrets};
pub use file::EndpointsFile;
use log_settings::{LOG_REDACT, LOG_RETENTION_DAYS};
pub use order::{LaneSettings, OnExhausted};
use proxy::Proxies;
pub use proxy::ProxyUrl;
use url::Allowed;
pub use wahook_runtime::settings::toml_table::FileFault;

use crate::tls::check_system_authorities;

/// Settings of the deliveries, the log's retention and the operator address.
#[derive(Debug)]
pub struct DeliverySettings {
    /// `WEBHOOK_URL` and its companions, or `WEBHOOK_ENDPOINTS`
    pub endpoints: Endpoints,
    /// `LOG_RETENTION_DAYS`
    pub log_retention_days: Option<u32>,
    /// `LOG_REDACT`
    pub log_redact: Option<Redaction>,
    /// `CONSUMER_LISTEN`
    pub listen: ListenAddress,
    /// `CONSUMER_ALLOWED_HOSTS`
    pub allowed_hosts: AllowedHosts,
    /// `CONSUMER_MEMORY_BUDGET_BYTES`
    pub memory_budget_bytes: usize,
}

/// Endpoints at the start, and the file from which they are reloaded.
#[derive(Debug)]
pub struct Endpoints {
    /// Never empty.
    pub list: Vec<EndpointSettings>,
    /// `WEBHOOK_ENDPOINTS`; `None` for the single endpoint of `WEBHOOK_URL`.
    pub file: Option<EndpointsFile>,
}

impl DeliverySettings {
    /// Reads all settings. Returns `None` after a fault; faults are collected in
    /// `settings`.
    pub fn read(settings: &mut Settings) -> Option<Self> {
        let endpoints = Endpoints::read(settings);
        let log_retention_days = settings.value(&LOG_RETENTION_DAYS);
        let log_redact = settings.value(&LOG_REDACT);
        let listen = Self::read_listen(settings);
        let allowed_hosts = settings.value(&CONSUMER_ALLOWED_HOSTS);
        let memory_budget_bytes = settings.value(&CONSUMER_MEMORY_BUDGET_BYTES);
        let endpoints = endpoints?;
        if endpoints
            .list
            .iter()
            .any(EndpointSettings::trusts_the_system)
            && let Err(fault) = check_system_authorities()
        {
            settings.fault_at("TLS:", fault.to_string());
        }
        Some(Self {
            endpoints,
            log_retention_days,
            log_redact,
            listen: listen?,
            allowed_hosts: allowed_hosts.unwrap_or_default(),
            memory_budget_bytes: memory_budget_bytes?,
        })
    }

    /// Reads `CONSUMER_LISTEN` only.
    pub fn read_listen(settings: &mut Settings) -> Option<ListenAddress> {
        settings.value(&CONSUMER_LISTEN)
    }
}

impl Endpoints {
    fn read(settings: &mut Settings) -> Option<Self> {
        let allowed = Allowed {
            http: settings.flag(&WEBHOOK_ALLOW_HTTP),
            reach: read_reach(settings),
            connection_age: Duration::from_secs(settings.value(&WEBHOOK_CONNECTION_AGE)?),
        };
        let proxies = Proxies::read(settings);
        let Switch(circuit) = settings.value(&WEBHOOK_CIRCUIT)?;
        let Some(path) = settings.value::<String>(&WEBHOOK_ENDPOINTS) else {
            let one = EndpointSettings::read(settings, allowed, &proxies, circuit)?;
            return Some(Self {
                list: vec![one],
                file: None,
            });
        };
        for setting in &ONE_ENDPOINT {
            if settings.is_given(setting) {
                let problem = format!(
                    "is set together with {}: move it to that file",
                    WEBHOOK_ENDPOINTS.name
                );
                settings.fault_at(setting.name, problem);
            }
        }
        let file = EndpointsFile {
            path: path.into(),
            allowed,
            proxies,
            circuit,
        };
        match file.read() {
            Ok(list) => Some(Self {
                list,
                file: Some(file),
            }),
            Err(faults) => {
                let place = format!("{}={}", WEBHOOK_ENDPOINTS.name, file.path.display());
                for fault in faults {
                    settings.fault_at(&place, fault.to_string());
                }
                None
            }
        }
    }
}

/// Reads which addresses are permitted.
fn read_reach(settings: &mut Settings) -> Reach {
    let only_public = settings.flag(&WEBHOOK_BLOCK_PRIVATE);
    let everything = settings.flag(&WEBHOOK_ALLOW_LINK_LOCAL);
    match (only_public, everything) {
        (true, true) => {
            let problem = format!(
                "is true together with {}: keep one",
                WEBHOOK_BLOCK_PRIVATE.name
            );
            settings.fault_at(WEBHOOK_ALLOW_LINK_LOCAL.name, problem);
            Reach::Public
        }
        (true, false) => Reach::Public,
        (false, true) => Reach::Everything,
        (false, false) => Reach::Private,
    }
}

/// Setting with the values `on` and `off`, or common synonyms.
struct Switch(bool);

impl FromStr for Switch {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "on" | "true" | "yes" | "1" => Ok(Self(true)),
            "off" | "false" | "no" | "0" => Ok(Self(false)),
            _ => Err("unknown value"),
        }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 { "on" } else { "off" })
    }
}

#[cfg(feature = "mongodb")]
#[cfg(test)]
mod tests;
