//! What do the tests send their own requests with?

use std::time::Duration;

use anyhow::Context;

/// A client that gives up after 10 s, follows no redirects and ignores proxy settings.
pub fn http_client() -> anyhow::Result<reqwest::Client> {
    // Fails when a provider is there already, which is just as good.
    let _present = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .context("cannot build an HTTP client")
}
