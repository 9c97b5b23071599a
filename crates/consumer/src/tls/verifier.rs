//! Verification of servers' certificates.

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};
use sha2::{Digest, Sha256};
use std::{collections::HashSet, sync::Arc};

/// Verifier of servers' certificates and of the signatures of their handshakes.
#[derive(Debug)]
pub(super) struct Verifier {
    rule: Rule,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
enum Rule {
    /// Chains, and servers whose own certificate is trusted, although it is marked as that of
    /// an authority. `openssl req -x509` makes such certificates, and curl accepts them.
    Trusted {
        chains: Arc<WebPkiServerVerifier>,
        /// SHA-256 of the trusted certificates.
        own: HashSet<[u8; 32]>,
    },
    /// `insecure_skip_verify`: every certificate. The handshake is still encrypted, but with
    /// an unknown server.
    Everything,
}

impl Verifier {
    pub(super) fn new(
        chains: Arc<WebPkiServerVerifier>,
        trusted: &[CertificateDer<'static>],
        provider: &CryptoProvider,
    ) -> Self {
        let own = trusted.iter().map(|one| hash(one)).collect();
        Self {
            rule: Rule::Trusted { chains, own },
            algorithms: provider.signature_verification_algorithms,
        }
    }

    /// Returns a verifier that accepts every certificate.
    pub(super) fn of_everything(provider: &CryptoProvider) -> Self {
        Self {
            rule: Rule::Everything,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

fn hash(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Rule::Trusted { chains, own } = &self.rule else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The error of an authority's certificate has no variant of its own. It is
            // found after the check of the dates, which have variants, and before the
            // check of the name.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if own.contains(&hash(end_entity)) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
