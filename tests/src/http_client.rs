//! HTTP client of the tests.

use std::time::Duration;

use anyhow::Context;

/// Builds a client with a timeout of 60 s, without redirects and proxies.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // Fails harmlessly if a provider is already installed.
    let _present = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("cannot build an HTTP client")
}
