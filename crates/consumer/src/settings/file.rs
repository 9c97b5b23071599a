//! Endpoints file (`WEBHOOK_ENDPOINTS`): one `[[endpoint]]` table per endpoint,
//! validated completely, every fault with its line.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use wahook_domain::{CircuitRule, EndpointName, EventPattern, RateLimit, RetryRule, Secret};
use wahook_runtime::settings::{
    redact_url,
    shared::{TIMEOUT, TIMEOUTS},
};

use super::{
    declared::{CONCURRENCIES, CONCURRENCY, RETRY_ATTEMPTS, RETRY_DELAY, WEBHOOK_URL},
    endpoint::{EndpointSettings, Secrets, SignatureSecret},
    inner_tables::{read_headers, read_rule},
    toml_table::{Faults, FileFault, Table, number},
    url::{self, Allowed},
};

/// Upper bound, since each endpoint has a queue and its own metrics.
const MAX_ENDPOINTS: usize = 100;

const KNOWN: &str = "name, url, events, secret, secret_file, previous_secret, \
    previous_secret_file, signature_secret, retry_attempts, retry_delay, timeout, concurrency, rate_limit, \
    headers, enabled and circuit";

/// Endpoints file, read at the start and on each SIGHUP.
#[derive(Debug, Clone)]
pub struct EndpointsFile {
    /// `WEBHOOK_ENDPOINTS`
    pub path: PathBuf,
    pub(super) allowed: Allowed,
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
        let url = self.read_url(table);
        let events = read_events(table);
        let secrets = self.read_secrets(table);
        let retries = table.whole("retry_attempts", RETRY_ATTEMPTS, 0..=RetryRule::MAX_RETRIES);
        let delay = table.whole(
            "retry_delay",
            RETRY_DELAY,
            1..=RetryRule::MAX_FIRST_DELAY_MS,
        );
        let timeout = table.whole("timeout", TIMEOUT, TIMEOUTS);
        let concurrency = table.whole("concurrency", CONCURRENCY, CONCURRENCIES);
        let expected = "a number of requests per second from 0.01 to 10000";
        let rate_limit = table.read("rate_limit", expected, |value| {
            RateLimit::new(number(value)?)
        });
        let headers = read_headers(table);
        let enabled = table.flag("enabled", true);
        let circuit = self.read_circuit(table);
        let url = url?;
        if !url.username().is_empty() && headers.contains_key("authorization") {
            let place = table.place.clone();
            table.fault(
                &place,
                "url has credentials and headers has Authorization: keep one",
            );
        }
        Some(EndpointSettings {
            name: name?,
            shown_url: Arc::from(redact_url(url.as_str())),
            url,
            events,
            block_private: !self.allowed.private,
            secrets,
            retry_rule: RetryRule::new(retries, delay).ok()?,
            timeout: Duration::from_millis(timeout),
            concurrency,
            rate_limit,
            headers,
            enabled,
            circuit,
        })
    }

    fn read_url(&self, table: &mut Table<'_, '_>) -> Option<reqwest::Url> {
        let Some((text, place)) = table.text("url") else {
            let place = table.place.clone();
            table.fault(
                &place,
                format_args!("url is missing, such as \"{}\"", WEBHOOK_URL.example),
            );
            return None;
        };
        url::read(&text, self.allowed)
            .map_err(|problem| table.fault(&place, format_args!("url {problem}")))
            .ok()
    }

    fn read_secrets(&self, table: &mut Table<'_, '_>) -> Option<Secrets> {
        let has_current = table.has("secret") || table.has("secret_file");
        let current = self.read_secret(table, "secret");
        let previous = self.read_secret(table, "previous_secret");
        if !has_current && previous.is_some() {
            let place = table.place.clone();
            table.fault(
                &place,
                "previous_secret is set without secret: set the new secret there",
            );
        }
        let of_body = table.read("signature_secret", "\"current\" or \"previous\"", |value| {
            value.as_str()?.parse().ok()
        });
        let of_body = of_body.unwrap_or_default();
        if of_body == SignatureSecret::Previous && previous.is_none() {
            let place = table.place.clone();
            table.fault(
                &place,
                "signature_secret is \"previous\" without previous_secret",
            );
        }
        Some(Secrets {
            current: current?,
            previous,
            of_body,
        })
    }

    /// Reads a secret from the field itself or from the file named by the field with
    /// `_file`, relative to the endpoints file.
    fn read_secret(&self, table: &mut Table<'_, '_>, name: &str) -> Option<Secret> {
        let pointer = format!("{name}_file");
        let (text, place) = match (table.text(name), table.text(&pointer)) {
            (Some(given), None) => given,
            (None, None) => return None,
            (Some(_), Some((_, place))) => {
                table.fault(&place, format_args!("keep one of {name} and {pointer}"));
                return None;
            }
            (None, Some((path, place))) => {
                let folder = self.path.parent().unwrap_or(Path::new(""));
                match fs::read_to_string(folder.join(&path)) {
                    Ok(text) => (text.trim_end_matches(['\r', '\n']).to_owned(), place),
                    Err(error) => {
                        let problem = format!("{pointer} is {path}, which can't be read: {error}");
                        table.fault(&place, problem);
                        return None;
                    }
                }
            }
        };
        Secret::new(text)
            .map_err(|error| table.fault(&place, format_args!("{name}: {error}")))
            .ok()
    }

    fn read_circuit(&self, table: &mut Table<'_, '_>) -> Option<CircuitRule> {
        let default = CircuitRule::default();
        let rule = match table
            .take("circuit")
            .map(|value| (value.span(), value.into_inner()))
        {
            None | Some((_, DeValue::Boolean(true))) => default,
            Some((_, DeValue::Boolean(false))) => return None,
            Some((place, DeValue::Table(fields))) => read_rule(table, &place, fields),
            Some((place, _)) => {
                table.fault(&place, "circuit must be true, false or a table");
                default
            }
        };
        self.circuit.then_some(rule)
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
