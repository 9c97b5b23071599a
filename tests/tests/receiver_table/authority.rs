//! Test certificates and their certificate authority.

use std::fs;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use wahook_tests::folder::RunFolder;

/// Certificate authority; a consumer trusts it if `SSL_CERT_FILE` is [`Authority::file`].
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: RunFolder,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = RunFolder::temporary("authority").unwrap();
        fs::write(folder.join("authority.pem"), certificate.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    pub(crate) fn file(&self) -> String {
        self.folder.join("authority.pem").display().to_string()
    }

    /// Returns a TLS server configuration with a certificate signed by this authority.
    pub(crate) fn server(&self, params: &CertificateParams) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        config(certificate.der(), &key)
    }
}

pub(crate) fn self_signed(params: &CertificateParams) -> ServerConfig {
    self_signed_with_pem(params).0
}

/// Returns a TLS server configuration and its certificate as PEM.
pub(crate) fn self_signed_with_pem(params: &CertificateParams) -> (ServerConfig, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (config(certificate.der(), &key), certificate.pem())
}

/// Returns parameters of a certificate that is valid for `host` only.
pub(crate) fn certificate_for(host: &str) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, host);
    params
}

pub(crate) fn acceptor(config: ServerConfig) -> TlsAcceptor {
    TlsAcceptor::from(Arc::new(config))
}

fn config(certificate: &CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap()
}
