//! TLS fields of an endpoint.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use std::{fs, ops::Range, path::Path, sync::Arc};

use crate::tls::{ClientCertificate, TlsSettings, client_config};
use wahook_runtime::settings::toml_table::Table;

/// Reads the TLS fields. Paths are relative to `folder`. Returns `None` after a fault.
pub(super) fn read_tls(table: &mut Table<'_, '_>, folder: &Path) -> Option<TlsSettings> {
    let authorities = read_certificates(table, "ca_file", folder);
    let chain = read_certificates(table, "client_cert_file", folder);
    let key = read_file(table, "client_key_file", folder);
    let skip_verify = table.flag("insecure_skip_verify", false);
    let place = table.place.clone();
    if skip_verify && !matches!(authorities, Field::Missing) {
        table.fault(
            &place,
            "ca_file and insecure_skip_verify exclude each other: keep one",
        );
        return None;
    }
    let client = match (chain, key) {
        (Field::Missing, Field::Missing) => None,
        (Field::Missing, _) | (_, Field::Missing) => {
            let problem = "client_cert_file and client_key_file belong together: set both";
            table.fault(&place, problem);
            return None;
        }
        (Field::Value(chain, _), Field::Value(bytes, place)) => {
            let Ok(key) = PrivateKeyDer::from_pem_slice(&bytes) else {
                table.fault(&place, "client_key_file has no private key in PEM format");
                return None;
            };
            let key = Arc::new(key);
            Some(ClientCertificate { chain, key })
        }
        _ => return None,
    };
    let authorities = match authorities {
        Field::Value(authorities, _) => Some(authorities),
        Field::Missing => None,
        Field::Faulty => return None,
    };
    let tls = TlsSettings {
        authorities,
        client,
        skip_verify,
    };
    let needs_check = tls.client.is_some() || tls.authorities.is_some();
    if needs_check && let Err(fault) = client_config(&tls) {
        table.fault(&place, fault);
        return None;
    }
    Some(tls)
}

/// Value of a field and its position.
enum Field<T> {
    Missing,
    Faulty,
    Value(T, Range<usize>),
}

fn read_certificates(
    table: &mut Table<'_, '_>,
    name: &str,
    folder: &Path,
) -> Field<Vec<CertificateDer<'static>>> {
    let (bytes, place) = match read_file(table, name, folder) {
        Field::Missing => return Field::Missing,
        Field::Faulty => return Field::Faulty,
        Field::Value(bytes, place) => (bytes, place),
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Field::Value(certificates, place),
        _ => {
            let problem = format!("{name} has no certificate in PEM format, or a damaged one");
            table.fault(&place, problem);
            Field::Faulty
        }
    }
}

fn read_file(table: &mut Table<'_, '_>, name: &str, folder: &Path) -> Field<Vec<u8>> {
    if !table.has(name) {
        return Field::Missing;
    }
    let Some((path, place)) = table.text(name) else {
        return Field::Faulty;
    };
    match fs::read(folder.join(&path)) {
        Ok(bytes) => Field::Value(bytes, place),
        Err(error) => {
            let problem = format!("{name} is {path}, which can't be read: {error}");
            table.fault(&place, problem);
            Field::Faulty
        }
    }
}
