//! TLS of deliveries: trusted certificates and client certificates.

mod verifier;

use rustls::{
    ClientConfig, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{env, sync::Arc};

use verifier::Verifier;

/// Protocols offered to servers, in the order of preference.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Variables that name files and folders of trusted certificates.
const VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// TLS settings of an endpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TlsSettings {
    /// Trusted certificates, instead of those of the system.
    pub authorities: Option<Vec<CertificateDer<'static>>>,
    /// Certificate that identifies wahook to the server.
    pub client: Option<ClientCertificate>,
    /// Accepts every certificate.
    pub skip_verify: bool,
}

/// Certificate chain and its key.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientCertificate {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: Arc<PrivateKeyDer<'static>>,
}

/// Reason why TLS can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsFault {
    #[error("{0} {1}")]
    Authorities(&'static str, String),
    #[error("TLS can't be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Returns the configuration for an endpoint.
///
/// # Errors
/// Fails if there is no trusted certificate, or if the client certificate and its key do
/// not match.
pub(crate) fn client_config(settings: &TlsSettings) -> Result<ClientConfig, TlsFault> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier_for(settings, provider)?);
    let mut config = match &settings.client {
        Some(client) => {
            builder.with_client_auth_cert(client.chain.clone(), client.key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

/// Returns a configuration for an endpoint without TLS. It trusts no server.
///
/// # Errors
/// Fails if TLS can't be set up.
pub(crate) fn unused_config() -> Result<ClientConfig, TlsFault> {
    let provider = Arc::new(ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// Checks that the system has trusted certificates.
///
/// # Errors
/// Fails if there are none, or if `SSL_CERT_FILE` can't be read.
pub(crate) fn check_system_authorities() -> Result<(), TlsFault> {
    system_authorities().map(drop)
}

fn verifier_for(
    settings: &TlsSettings,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, TlsFault> {
    if settings.skip_verify {
        return Ok(Arc::new(Verifier::of_everything(&provider)));
    }
    let trusted = match &settings.authorities {
        Some(given) => given.clone(),
        None => system_authorities()?,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let chains =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chains = chains.build();
    let chains = chains.map_err(|error| rustls::Error::General(error.to_string()))?;
    Ok(Arc::new(Verifier::new(chains, &trusted, &provider)))
}

fn system_authorities() -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let found = rustls_native_certs::load_native_certs();
    let [file, folder] = VARIABLES;
    let fault = |variable, problem| Err(TlsFault::Authorities(variable, problem));
    match (is_set(file), found.errors.first()) {
        (true, Some(error)) => fault(file, format!("can't be used: {error}")),
        (true, None) if found.certs.is_empty() => fault(
            file,
            "names a file without a certificate in PEM format".to_owned(),
        ),
        (false, _) if found.certs.is_empty() && is_set(folder) => fault(
            folder,
            "names no folder with certificates in PEM format".to_owned(),
        ),
        (false, _) if found.certs.is_empty() => fault(
            file,
            "is not set, and the system has no trusted certificates: install them (package \
             ca-certificates), or set it"
                .to_owned(),
        ),
        _ => Ok(found.certs),
    }
}

fn is_set(variable: &str) -> bool {
    env::var_os(variable).is_some()
}

#[cfg(test)]
pub(crate) mod tests;
