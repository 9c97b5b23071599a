//! Deliveries to real TLS servers.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::PrivatePkcs8KeyDer,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;
use wahook_domain::{FailureCause, Outcome, UnixMillis};

use super::*;
use crate::client::{
    EndpointClient,
    tests::{event, plain, system},
};

/// Certificate with its key.
pub(crate) struct Pair {
    pub(crate) certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Pair {
    fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }

    fn client(&self) -> ClientCertificate {
        ClientCertificate {
            chain: vec![self.certificate.clone()],
            key: Arc::new(self.key()),
        }
    }
}

/// Makes the certificate of `openssl req -x509`: self-signed and marked as an authority.
pub(crate) fn openssl_req_x509(host: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
    let mut params = CertificateParams::new([host.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, host);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Pair { certificate, key }
}

/// Starts a server that answers 200 to everything; returns its URL.
pub(crate) async fn server(pair: &Pair, clients: Arc<dyn ClientCertVerifier>) -> String {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![pair.certificate.clone()], pair.key())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            match acceptor.accept(stream).into_fallible().await {
                Ok(mut stream) => {
                    while !bytes.ends_with(b"}") {
                        bytes.push(stream.read_u8().await.unwrap());
                    }
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    let _written = stream.write_all(answer).await;
                    let _closed = stream.shutdown().await;
                }
                // What is left unread would reset the connection, and the alert with it.
                Err((_, mut stream)) => {
                    let _closed = stream.read_to_end(&mut bytes).await;
                }
            }
        }
    });
    url
}

async fn deliver(url: &str, tls: &TlsSettings) -> Outcome {
    let mut network = plain(system());
    network.tls = client_config(tls).unwrap();
    let limit = Duration::from_secs(20);
    let client = EndpointClient::new(url.parse().unwrap(), None, limit, 1, network).unwrap();
    client.post(&event(), UnixMillis::new(0)).await.outcome
}

pub(crate) fn trusting(certificate: &CertificateDer<'static>) -> TlsSettings {
    TlsSettings {
        authorities: Some(vec![certificate.clone()]),
        ..TlsSettings::default()
    }
}

fn refused(detail: &str) -> Outcome {
    Outcome::Failed {
        cause: FailureCause::Tls,
        detail: detail.to_owned(),
    }
}

const DELIVERED: Outcome = Outcome::Delivered { status: 200 };

#[tokio::test]
async fn a_trusted_self_signed_certificate_marked_as_an_authority_is_accepted() {
    let pair = openssl_req_x509("127.0.0.1", |_| ());
    let url = server(&pair, WebPkiClientVerifier::no_client_auth()).await;
    let outcome = deliver(&url, &trusting(&pair.certificate)).await;
    assert_eq!(outcome, DELIVERED);
    let other = openssl_req_x509("127.0.0.1", |_| ());
    let outcome = deliver(&url, &trusting(&other.certificate)).await;
    let words = "certificate is that of an authority and not trusted: name its file in ca_file \
                 or SSL_CERT_FILE";
    assert_eq!(outcome, refused(words));
}

#[tokio::test]
async fn host_and_dates_of_a_trusted_self_signed_certificate_are_checked() {
    let pair = openssl_req_x509("other.example", |_| ());
    let url = server(&pair, WebPkiClientVerifier::no_client_auth()).await;
    let outcome = deliver(&url, &trusting(&pair.certificate)).await;
    let words = "certificate is for other.example, not for 127.0.0.1";
    assert_eq!(outcome, refused(words));
    let pair = openssl_req_x509("127.0.0.1", |params| {
        params.not_before = date_time_ymd(2024, 9, 1);
        params.not_after = date_time_ymd(2024, 10, 1);
    });
    let url = server(&pair, WebPkiClientVerifier::no_client_auth()).await;
    let outcome = deliver(&url, &trusting(&pair.certificate)).await;
    assert_eq!(outcome, refused("certificate expired on 2024-10-01"));
}

#[tokio::test]
async fn any_certificate_is_accepted_with_insecure_skip_verify_only() {
    let pair = openssl_req_x509("other.example", |params| params.is_ca = IsCa::NoCa);
    let url = server(&pair, WebPkiClientVerifier::no_client_auth()).await;
    let skipping = TlsSettings {
        skip_verify: true,
        ..TlsSettings::default()
    };
    assert_eq!(deliver(&url, &skipping).await, DELIVERED);
    let other = openssl_req_x509("127.0.0.1", |_| ());
    let outcome = deliver(&url, &trusting(&other.certificate)).await;
    assert_eq!(
        outcome,
        refused("certificate is signed by an unknown authority")
    );
}

#[tokio::test]
async fn a_client_certificate_is_sent_to_a_server_that_requires_one() {
    let pair = openssl_req_x509("127.0.0.1", |_| ());
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap().der().clone();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(["wahook".to_owned()]).unwrap();
    let certificate = client.signed_by(&key, &issuer).unwrap().der().clone();
    let client = Pair { certificate, key };

    let mut roots = RootCertStore::empty();
    roots.add(authority).unwrap();
    let provider = Arc::new(ring::default_provider());
    let required = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let url = server(&pair, required.build().unwrap()).await;
    let mut tls = trusting(&pair.certificate);
    let outcome = deliver(&url, &tls).await;
    let words = "TLS failed: the server requires a client certificate: set client_cert_file and \
                 client_key_file";
    assert_eq!(outcome, refused(words));
    tls.client = Some(client.client());
    assert_eq!(deliver(&url, &tls).await, DELIVERED);
    tls.client = Some(pair.client());
    let Outcome::Failed { cause, detail } = deliver(&url, &tls).await else {
        panic!("a foreign client certificate was accepted");
    };
    assert_eq!(cause, FailureCause::Tls);
    assert!(detail.contains("client certificate"), "{detail}");
}
