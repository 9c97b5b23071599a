//! Secrets of an endpoint.

use std::path::Path;
use wahook_domain::Secret;
use wahook_runtime::settings::toml_table::Table;

use super::endpoint::{Secrets, SignatureSecret};

/// Reads the secrets. Paths are relative to `folder`.
pub(super) fn read_secrets(table: &mut Table<'_, '_>, folder: &Path) -> Option<Secrets> {
    let has_current = table.has("secret") || table.has("secret_file");
    let current = read_secret(table, "secret", folder);
    let previous = read_secret(table, "previous_secret", folder);
    if !has_current && previous.is_some() {
        let place = table.place.clone();
        table.fault(
            &place,
            "previous_secret is set without secret: set the new secret there",
        );
    }
    let of_body = table.read("signature_secret", "\"current\" or \"previous\"", |value| {
        value.as_str()?.parse().ok()
    });
    let of_body = of_body.unwrap_or_default();
    if of_body == SignatureSecret::Previous && previous.is_none() {
        let place = table.place.clone();
        table.fault(
            &place,
            "signature_secret is \"previous\" without previous_secret",
        );
    }
    Some(Secrets {
        current: current?,
        previous,
        of_body,
    })
}

/// Reads a secret from the field itself or from the file named by the field with
/// `_file`.
fn read_secret(table: &mut Table<'_, '_>, name: &str, folder: &Path) -> Option<Secret> {
    let (text, place) = table.text_or_file(name, folder)?;
    Secret::new(text)
        .map_err(|error| table.fault(&place, format_args!("{name}: {error}")))
        .ok()
}
