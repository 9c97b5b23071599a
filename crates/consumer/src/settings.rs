//! Consumer settings, read and validated completely before any connection.

mod declared;
mod endpoint;
mod file;
mod inner_tables;
mod toml_table;
mod url;

use std::{fmt, str::FromStr};
use wahook_runtime::{ListenAddress, Settings, guard::AllowedHosts};

pub(crate) use declared::CONSUMER_ALLOWED_HOSTS;
use declared::{
    CONSUMER_LISTEN, CONSUMER_MEMORY_BUDGET, LOG_RETENTION_DAYS, ONE_ENDPOINT, WEBHOOK_ALLOW_HTTP,
    WEBHOOK_BLOCK_PRIVATE, WEBHOOK_CIRCUIT,
};
pub use declared::{PROGRAM_SETTINGS, SETTINGS, WEBHOOK_ENDPOINTS, WEBHOOK_URL};
pub use endpoint::{EndpointSettings, Secrets};
pub use file::EndpointsFile;
pub use toml_table::FileFault;
use url::Allowed;

/// Settings of the deliveries, the log's retention and the operator address.
#[derive(Debug)]
pub struct DeliverySettings {
    /// `WEBHOOK_URL` and its companions, or `WEBHOOK_ENDPOINTS`
    pub endpoints: Endpoints,
    /// `LOG_RETENTION_DAYS`
    pub log_retention_days: Option<u32>,
    /// `CONSUMER_LISTEN`
    pub listen: ListenAddress,
    /// `CONSUMER_MEMORY_BUDGET`
    pub memory_budget: u64,
    /// `CONSUMER_ALLOWED_HOSTS`
    pub allowed_hosts: AllowedHosts,
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
        let listen = Self::read_listen(settings);
        let memory_budget = settings.value(&CONSUMER_MEMORY_BUDGET);
        let allowed_hosts = settings.value(&CONSUMER_ALLOWED_HOSTS);
        Some(Self {
            endpoints: endpoints?,
            log_retention_days,
            listen: listen?,
            memory_budget: memory_budget?,
            allowed_hosts: allowed_hosts.unwrap_or_default(),
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
            private: !settings.flag(&WEBHOOK_BLOCK_PRIVATE),
        };
        let Switch(circuit) = settings.value(&WEBHOOK_CIRCUIT)?;
        let Some(path) = settings.value::<String>(&WEBHOOK_ENDPOINTS) else {
            let one = EndpointSettings::read(settings, allowed, circuit)?;
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
