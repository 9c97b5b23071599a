//! Endpoints file (`WEBHOOK_ENDPOINTS`): one `[[endpoint]]` table per endpoint,
//! validated completely, every fault with its line.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::Duration,
};
use wahook_domain::{EndpointName, RateLimit};
use wahook_runtime::settings::{
    shared::{TIMEOUT, TIMEOUTS},
    toml_table::{FileFault, Table, number, read_file, read_tables},
};

use super::{
    declared::{CONCURRENCIES, CONCURRENCY, WEBHOOK_URL},
    endpoint::EndpointSettings,
    filters::{read_events, read_origin_filter},
    inner_tables::{read_circuit, read_headers},
    order,
    proxy::{Proxies, read_proxy},
    retries,
    secret_fields::read_secrets,
    tls::read_tls,
    url::{self, Allowed, Target},
};

/// Upper bound, since each endpoint has a queue and its own metrics.
const MAX_ENDPOINTS: usize = 100;

const KNOWN: &str = "name, url, events, sources, sessions, groups, chats, not_chats, secret, secret_file, previous_secret, \
    previous_secret_file, signature_secret, retry_attempts, retry_delay, \
    retry_schedule, auto_redrive, auto_redrive_rate, timeout, concurrency, rate_limit, body, follow_redirects, order, lanes, on_exhausted, headers, hide_url, proxy, ca_file, client_cert_file, client_key_file, \
    insecure_skip_verify, enabled and circuit";

/// Endpoints file, read at the start and on each SIGHUP.
#[derive(Debug, Clone)]
pub struct EndpointsFile {
    /// `WEBHOOK_ENDPOINTS`
    pub path: PathBuf,
    pub(super) allowed: Allowed,
    /// `HTTPS_PROXY` and its companions
    pub(super) proxies: Proxies,
    /// `WEBHOOK_CIRCUIT`
    pub(super) circuit: bool,
}

impl EndpointsFile {
    /// Reads the file and the files of its secrets.
    ///
    /// # Errors
    /// Returns every fault, in line order.
    pub fn read(&self) -> Result<Vec<EndpointSettings>, Vec<FileFault>> {
        self.parse(&read_file(&self.path)?)
    }

    fn parse(&self, text: &str) -> Result<Vec<EndpointSettings>, Vec<FileFault>> {
        let mut names = BTreeSet::new();
        read_tables(text, "endpoint", MAX_ENDPOINTS, KNOWN, |table| {
            self.endpoint(table, &mut names)
        })
    }

    /// Reads every field, also after a fault.
    fn endpoint(
        &self,
        table: &mut Table<'_, '_>,
        names: &mut BTreeSet<EndpointName>,
    ) -> Option<EndpointSettings> {
        let name = table.unique_name("endpoint", "crm", names);
        let hide_url = table.flag("hide_url", false);
        let target = self.read_url(table, hide_url);
        let events = read_events(table);
        let filter = read_origin_filter(table);
        let secrets = read_secrets(table, self.folder());
        let retry_rule = retries::read_from(table);
        let auto_redrive = retries::read_auto_redrive_from(table);
        let timeout = table.whole("timeout", TIMEOUT, TIMEOUTS);
        let concurrency = table.whole("concurrency", CONCURRENCY, CONCURRENCIES);
        let rate_limit = table.read("rate_limit", RateLimit::FORM, |value| {
            RateLimit::new(number(value)?)
        });
        let body = table.read("body", "\"canonical\" or \"exact\"", |value| {
            value.as_str()?.parse().ok()
        });
        let follow_redirects = table.flag("follow_redirects", false);
        let division = order::read_from(table, retry_rule);
        let mut headers = read_headers(table);
        let tls = read_tls(table, self.folder());
        let enabled = table.flag("enabled", true);
        let circuit = read_circuit(table).filter(|_| self.circuit);
        let environment = target
            .as_ref()
            .and_then(|target| self.proxies.of(&target.url));
        let proxy = read_proxy(table, environment);
        let target = target?;
        if target.login.is_some() && headers.contains_key("authorization") {
            let place = table.place.clone();
            table.fault(
                &place,
                "url has credentials and headers has Authorization: keep one",
            );
        }
        headers.extend(target.login);
        Some(EndpointSettings {
            name: name?,
            shown_url: target.shown,
            url: target.url,
            hide_url,
            events,
            filter,
            reach: self.allowed.reach,
            proxy,
            tls: tls?,
            connection_age: self.allowed.connection_age,
            follow_redirects,
            body: body.unwrap_or_default(),
            secrets,
            retry_rule: retry_rule?,
            auto_redrive,
            timeout: Duration::from_millis(timeout),
            concurrency,
            rate_limit,
            headers,
            lanes: division.lanes,
            shared_lanes: division.shared,
            enabled,
            circuit,
        })
    }

    /// Folder of the file, to which the paths in it are relative.
    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    fn read_url(&self, table: &mut Table<'_, '_>, hide_url: bool) -> Option<Target> {
        let Some((text, place)) = table.text("url") else {
            let place = table.place.clone();
            table.fault(
                &place,
                format_args!("url is missing, such as \"{}\"", WEBHOOK_URL.example),
            );
            return None;
        };
        url::read(&text, self.allowed, hide_url)
            .map_err(|problem| table.fault(&place, format_args!("url {problem}")))
            .ok()
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
