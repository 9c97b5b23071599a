//! Network of an endpoint: name look-ups, TLS and the age of connections.

use reqwest::{ClientBuilder, Proxy, dns::Resolve};
use rustls::ClientConfig;
use std::{sync::Arc, time::Duration};

use crate::{
    look_ups::LookUps,
    resolver::{LastAnswered, Resolver},
    settings::{EndpointSettings, ProxyUrl},
    tls::{self, TlsFault},
};

/// Way to an endpoint's servers.
pub(crate) struct Network {
    pub(crate) resolver: Arc<dyn Resolve>,
    /// Shared with the resolver.
    pub(crate) answered: LastAnswered,
    pub(crate) tls: ClientConfig,
    pub(crate) proxy: Option<ProxyUrl>,
    /// Age at which connections get no more requests.
    pub(crate) connection_age: Duration,
}

impl Network {
    /// Creates the network of an endpoint.
    ///
    /// # Errors
    /// Fails if its certificates can't be used.
    pub(crate) fn of(settings: &EndpointSettings) -> Result<Self, TlsFault> {
        let proxy = settings.proxy.as_ref();
        let is_secure_proxy = proxy.is_some_and(|proxy| proxy.url().scheme() == "https");
        let is_secure = settings.url.scheme() == "https" || settings.follow_redirects;
        let tls = if is_secure || is_secure_proxy {
            tls::client_config(&settings.tls)?
        } else {
            tls::unused_config()?
        };
        let answered = LastAnswered::default();
        Ok(Self {
            resolver: Arc::new(Resolver {
                reach: settings.reach,
                look_ups: LookUps::system(),
                answered: answered.clone(),
                proxy: proxy.and_then(|proxy| proxy.url().host_str().map(str::to_owned)),
            }),
            answered,
            tls,
            proxy: proxy.cloned(),
            connection_age: settings.connection_age,
        })
    }

    /// Applies the network to a client whose attempts take at most `limit`. The addresses
    /// of a host share this time, so that each is tried within one attempt. A tenth is
    /// added, so that an attempt ends by its own limit, which is reported as such.
    ///
    /// # Errors
    /// Fails if the proxy's URL can't be used.
    pub(crate) fn apply(
        &self,
        builder: ClientBuilder,
        limit: Duration,
    ) -> reqwest::Result<ClientBuilder> {
        let builder = match &self.proxy {
            Some(proxy) => builder.proxy(Proxy::all(proxy.url().as_str())?),
            None => builder,
        };
        Ok(builder
            .dns_resolver(Arc::clone(&self.resolver))
            .tls_backend_preconfigured(self.tls.clone())
            .connect_timeout(limit + limit / 10))
    }
}

#[cfg(test)]
mod proxy_tests;
#[cfg(test)]
mod tests;
