//! Form of an endpoint's URL in the log.

use reqwest::Url;
use sha2::{Digest, Sha256};
use wahook_runtime::settings::try_redact_url;

/// Number of bytes of the hash that replaces a path.
const HASH_BYTES: usize = 4;

/// Returns the URL with scheme, host, port and path, and without secrets. Returns `None`
/// for a URL without a host.
pub(super) fn shown_url(url: &Url) -> Option<String> {
    try_redact_url(url.as_str())
}

/// Returns the URL with a hash of path and query in their place. The hash
/// distinguishes the URLs of one host.
pub(super) fn hidden_url(url: &Url) -> String {
    let mut hash = Sha256::new();
    hash.update(url.path());
    if let Some(query) = url.query() {
        hash.update("?");
        hash.update(query);
    }
    let digits: String = hash
        .finalize()
        .iter()
        .take(HASH_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{}/sha256-{digits}", url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_query_of_a_hidden_url_are_replaced_by_a_hash() {
        let hidden = |text: &str| hidden_url(&Url::parse(text).unwrap());
        let first = hidden("https://u:p@hooks.example:8443/services/T0/B0/secret");
        let start = "https://hooks.example:8443/sha256-";
        assert!(first.starts_with(start), "{first}");
        assert_eq!(first.len(), start.len() + 2 * HASH_BYTES);
        assert_ne!(
            first,
            hidden("https://hooks.example:8443/services/T0/B0/other")
        );
        assert_ne!(hidden("https://a/?x=1"), hidden("https://a/?x=2"));
        // printf / | sha256sum
        assert_eq!(hidden("https://a"), "https://a/sha256-8a5edab2");
    }
}
