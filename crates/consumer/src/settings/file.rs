//! Endpoints file (`WEBHOOK_ENDPOINTS`): one `[[endpoint]]` table per endpoint,
//! validated completely, every fault with its line.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use wahook_domain::{EndpointName, EventPattern, RateLimit};
use wahook_runtime::settings::shared::{TIMEOUT, TIMEOUTS};

use super::{
    declared::{CONCURRENCIES, CONCURRENCY, WEBHOOK_URL},
    endpoint::EndpointSettings,
    inner_tables::{read_circuit, read_headers},
    proxy::{Proxies, read_proxy},
    retries,
    secret_fields::read_secrets,
    tls::read_tls,
    toml_table::{Faults, FileFault, Table, number},
    url::{self, Allowed, Target},
};

/// Upper bound, since each endpoint has a queue and its own metrics.
const MAX_ENDPOINTS: usize = 100;

const KNOWN: &str = "name, url, events, secret, secret_file, previous_secret, \
    previous_secret_file, signature_secret, retry_attempts, retry_delay, \
    retry_schedule, timeout, concurrency, rate_limit, headers, hide_url, proxy, ca_file, client_cert_file, client_key_file, \
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
        let text = fs::read_to_string(&self.path).map_err(|error| {
            let problem = format!("the file can't be read: {error}");
            vec![FileFault { line: 1, problem }]
        })?;
        self.parse(&text)
    }

    fn parse(&self, text: &str) -> Result<Vec<EndpointSettings>, Vec<FileFault>> {
        let mut faults = Faults::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            faults.add(&error.span().unwrap_or_default(), error.message());
        }
        let whole = document.span();
        let mut root = Table::new(
            "the file".to_owned(),
            whole,
            document.into_inner(),
            &mut faults,
        );
        let tables = root.read("endpoint", "written as [[endpoint]]", tables);
        let place = root.place.clone();
        root.finish("[[endpoint]] tables only");
        let tables = tables.unwrap_or_default();
        if tables.is_empty() {
            faults.add(&place, "the file has no [[endpoint]]");
        }
        if tables.len() > MAX_ENDPOINTS {
            let problem = format!("too many endpoints: at most {MAX_ENDPOINTS} are allowed");
            faults.add(&place, problem);
        }
        let mut names = BTreeSet::new();
        let mut endpoints = Vec::with_capacity(tables.len());
        for (number, table) in (1..).zip(tables) {
            let place = table.span();
            let fields = table.into_inner();
            let owner = match fields.get("name").and_then(|name| name.get_ref().as_str()) {
                Some(name) => format!("endpoint {name}"),
                None => format!("endpoint {number}"),
            };
            let mut table = Table::new(owner, place, fields, &mut faults);
            endpoints.extend(self.endpoint(&mut table, &mut names));
            table.finish(KNOWN);
        }
        let faults = faults.into_sorted();
        if faults.is_empty() {
            Ok(endpoints)
        } else {
            Err(faults)
        }
    }

    /// Reads every field, also after a fault.
    fn endpoint(
        &self,
        table: &mut Table<'_, '_>,
        names: &mut BTreeSet<EndpointName>,
    ) -> Option<EndpointSettings> {
        let name = read_name(table, names);
        let hide_url = table.flag("hide_url", false);
        let target = self.read_url(table, hide_url);
        let events = read_events(table);
        let secrets = read_secrets(table, self.folder());
        let retry_rule = retries::read_from(table);
        let timeout = table.whole("timeout", TIMEOUT, TIMEOUTS);
        let concurrency = table.whole("concurrency", CONCURRENCY, CONCURRENCIES);
        let rate_limit = table.read("rate_limit", RateLimit::FORM, |value| {
            RateLimit::new(number(value)?)
        });
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
            reach: self.allowed.reach,
            proxy,
            tls: tls?,
            connection_age: self.allowed.connection_age,
            secrets,
            retry_rule: retry_rule?,
            timeout: Duration::from_millis(timeout),
            concurrency,
            rate_limit,
            headers,
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

fn tables<'t>(value: &DeValue<'t>) -> Option<Vec<Spanned<DeTable<'t>>>> {
    let items = value.as_array()?.iter();
    items
        .map(|item| {
            Some(Spanned::new(
                item.span(),
                item.get_ref().as_table()?.clone(),
            ))
        })
        .collect()
}

fn read_name(
    table: &mut Table<'_, '_>,
    names: &mut BTreeSet<EndpointName>,
) -> Option<EndpointName> {
    let Some((text, place)) = table.text("name") else {
        let place = table.place.clone();
        table.fault(&place, "name is missing, such as \"crm\"");
        return None;
    };
    match EndpointName::parse(&text) {
        Ok(name) if names.insert(name.clone()) => Some(name),
        Ok(_) => {
            table.fault(&place, "name is already used by another endpoint");
            None
        }
        Err(error) => {
            table.fault(&place, format_args!("name {error}"));
            None
        }
    }
}

fn read_events(table: &mut Table<'_, '_>) -> Vec<EventPattern> {
    let expected = "a list of strings, such as [\"message_*\", \"call\"]";
    let texts = table.read("events", expected, |value| {
        let items = value.as_array()?.iter();
        let text =
            |item: &Spanned<DeValue<'_>>| Some((item.get_ref().as_str()?.to_owned(), item.span()));
        let texts: Vec<_> = items.map(text).collect::<Option<_>>()?;
        (!texts.is_empty()).then_some(texts)
    });
    let Some(texts) = texts else {
        return vec![EventPattern::Every];
    };
    let mut patterns = BTreeSet::new();
    for (text, place) in texts {
        match text.parse::<EventPattern>() {
            Ok(pattern) => drop(patterns.insert(pattern)),
            Err(error) => table.fault(&place, format_args!("events: \"{text}\" {error}")),
        }
    }
    patterns.into_iter().collect()
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
