//! Redaction of secrets in URLs.

use url::{Position, Url, form_urlencoded};
use wahook_domain::host_list::{HostList, broker_addresses};

pub(super) const REDACTED: &str = "[redacted]";

/// Names of query parameters whose values are shown, in lower case: options of RabbitMQ
/// and MongoDB addresses, and common ones of webhooks. All other values may be secrets.
const HARMLESS: [&str; 27] = [
    "authmechanism",
    "authsource",
    "channel_max",
    "compressors",
    "connection_timeout",
    "connecttimeoutms",
    "directconnection",
    "frame_max",
    "heartbeat",
    "journal",
    "lang",
    "loadbalanced",
    "locale",
    "maxpoolsize",
    "minpoolsize",
    "page",
    "readconcernlevel",
    "readpreference",
    "replicaset",
    "retryreads",
    "retrywrites",
    "serverselectiontimeoutms",
    "sockettimeoutms",
    "ssl",
    "tls",
    "w",
    "wtimeoutms",
];
/// Longest value that is shown.
const LONGEST_VALUE: usize = 64;

/// Returns a URL, or a list of broker addresses, as it may be shown: login, fragment, and
/// query values except harmless ones are replaced by `[redacted]`. Returns `None` for a
/// text that is not a URL with a host; nothing of such a text may be shown, since its
/// secrets can't be found.
#[must_use]
pub fn try_redact_url(text: &str) -> Option<String> {
    let is_broker = text.starts_with("amqp://") || text.starts_with("amqps://");
    let addresses = if is_broker {
        broker_addresses(text)
    } else {
        vec![text]
    };
    let shown: Option<Vec<_>> = addresses.into_iter().map(redact_address).collect();
    Some(shown?.join(","))
}

fn redact_address(text: &str) -> Option<String> {
    let list = split_host_list(text);
    let (text, hosts) = match &list {
        Some((one_host, hosts)) => (one_host.as_str(), Some(*hosts)),
        None => (text, None),
    };
    let url = Url::parse(text).ok().filter(Url::has_host)?;
    let login = if has_login(&url) {
        format!("{REDACTED}@")
    } else {
        String::new()
    };
    let hosts = hosts.unwrap_or_else(|| &url[Position::BeforeHost..Position::AfterPort]);
    let path = shown_path(&url);
    let query = url.query().map(redact_query).unwrap_or_default();
    let fragment = match url.fragment() {
        Some(text) if !text.is_empty() => format!("#{REDACTED}"),
        _ => String::new(),
    };
    let scheme = url.scheme();
    Some(format!("{scheme}://{login}{hosts}{path}{query}{fragment}"))
}

/// Returns a URL as it may be shown, or `[redacted]` for a text that is not a URL.
#[must_use]
pub fn redact_url(text: &str) -> String {
    try_redact_url(text).unwrap_or_else(|| REDACTED.to_owned())
}

/// Returns a reference to a URL, such as the value of `Location`, as it may be shown. It
/// may be relative.
#[must_use]
pub fn redact_reference(text: &str) -> String {
    if let Some(shown) = try_redact_url(text) {
        return shown;
    }
    if text.starts_with("//") {
        let shown = redact_url(&format!("https:{text}"));
        return shown.strip_prefix("https:").unwrap_or(&shown).to_owned();
    }
    let text = text.split('#').next().unwrap_or_default();
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, redact_query(query)),
        None => (text, String::new()),
    };
    // A malformed URL may have its login anywhere.
    if path.contains([':', '@', '\\']) {
        return REDACTED.to_owned();
    }
    format!("{path}{query}")
}

/// Returns the value of a setting as it may be shown, or `None` if nothing of it may be.
pub(super) fn redact_value(text: &str) -> Option<String> {
    if text.contains("://") || text.contains('@') {
        try_redact_url(text)
    } else {
        Some(text.to_owned())
    }
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns the path. In a URL of a broker or database, a path with `@` is most likely
/// the rest of a password with an unescaped `/`.
fn shown_path(url: &Url) -> &str {
    let is_http = matches!(url.scheme(), "http" | "https");
    if !is_http && url.path().contains('@') {
        "/[redacted]"
    } else {
        url.path()
    }
}

/// Splits the hosts of an address with several of them, which no URL parser accepts.
/// Returns the address with the first host only, and all hosts.
fn split_host_list(text: &str) -> Option<(String, &str)> {
    let list = HostList::split(text)?;
    let (first, _) = list.hosts.split_once(',')?;
    let is_host_list = list
        .hosts
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b".-_:,[]".contains(&byte));
    is_host_list.then(|| (list.address_of(first), list.hosts))
}

fn redact_query(query: &str) -> String {
    let shown: Vec<_> = query.split('&').map(redact_parameter).collect();
    format!("?{}", shown.join("&"))
}

/// Redacts one parameter. A parameter without a value may itself be a token, also one
/// that ends with the `=` of base64.
fn redact_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        _ if parameter.is_empty() => String::new(),
        Some((_, value)) if is_harmless(parameter) && is_plain(value) => parameter.to_owned(),
        Some((name, value)) if !value.trim_matches('=').is_empty() => {
            format!("{name}={REDACTED}")
        }
        _ => REDACTED.to_owned(),
    }
}

/// Returns true if the parameter's name, percent-decoded, is a harmless one.
fn is_harmless(parameter: &str) -> bool {
    form_urlencoded::parse(parameter.as_bytes())
        .next()
        .is_some_and(|(name, _)| HARMLESS.contains(&name.to_ascii_lowercase().as_str()))
}

/// Returns true for a value that contains no further parameter.
fn is_plain(value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:,".contains(&byte);
    value.len() <= LONGEST_VALUE && value.bytes().all(is_plain)
}

#[cfg(test)]
mod tests;
